"""What sources have right now: the cheap question that `watch` asks again and again.

A further kind of source needs a look here, unless git tells of it, and an address in
`trigger_filters`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from botocore.config import Config  # type: ignore[import-untyped]  # no py.typed
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.blocks.aws_session import AwsSession, aws_session, code_of
from prefect_delivery.changes import OBJECT, UNPINNED
from prefect_delivery.lineage import repository_of
from prefect_delivery.trigger_filters import WatchedSource

MINUTES: Final = 0.5
"""That a source may take to answer."""
_BRIEF: Final = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2})

Configuration = dict[str, Any]
Look = Callable[[Configuration], dict[str, str]]
"""Takes a source action's configuration, and gives revisions by ref.

Raises:
    ActionFailed: The source cannot be read.
"""


def look_at_s3(configuration: Configuration) -> dict[str, str]:
    """The version of an object; in a bucket without versions its entity tag."""
    bucket, key = configuration["s3_bucket"], configuration["s3_object_key"]
    with _session(configuration) as aws:
        try:
            found = aws.client("s3", _BRIEF).head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchKey"}:
                return {}
            raise
    version = found.get("VersionId", "null")
    if version == "null":
        return {OBJECT: UNPINNED + found["ETag"].strip('"')}
    return {OBJECT: version}


def look_at_ecr(configuration: Configuration) -> dict[str, str]:
    """The digest of the image that a tag points to."""
    tag = configuration.get("image_tag", "latest")
    with _session(configuration) as aws:
        try:
            found = aws.client("ecr", _BRIEF).describe_images(
                repositoryName=configuration["repository_name"],
                imageIds=[{"imageTag": tag}],
            )
        except ClientError as error:
            if code_of(error) == "ImageNotFoundException":
                return {}
            raise
    return {OBJECT: found["imageDetails"][0]["imageDigest"]}


LOOKS: Final[dict[str, Look]] = {
    "source/s3": look_at_s3,
    "source/ecr": look_at_ecr,
}


def look_at(source: WatchedSource) -> dict[str, str]:
    """What a source has now, by ref: of git the commit of each branch and tag.

    Raises:
        ActionFailed: It cannot be read.
    """
    if look := LOOKS.get(source.uses):
        return look(source.with_)
    with repository_of(source, minutes=MINUTES) as repository:
        return repository.refs()


def _session(configuration: Configuration) -> AbstractContextManager[AwsSession]:
    return aws_session(
        configuration.get("credentials"),
        configuration.get("role_arn"),
        configuration.get("region"),
    )
