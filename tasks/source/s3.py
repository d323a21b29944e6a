"""Bring an object from Amazon S3."""

import zipfile
from pathlib import PurePosixPath

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Configuration,
    Job,
    Outputs,
    Watched,
    action,
)
from prefect_delivery.blocks.aws_session import aws_session, code_of
from prefect_delivery.changes import OBJECT, UNPINNED
from prefect_delivery.tasks.bundles import LARGEST, bring, unpack
from prefect_delivery.tasks.source.asking_aws import BRIEF, session_of


def _address(configuration: Configuration) -> str:
    return f"s3://{configuration['s3_bucket']}/{configuration['s3_object_key']}"


def _look(configuration: Configuration) -> dict[str, str]:
    """The version of an object; in a bucket without versions its entity tag."""
    bucket, key = configuration["s3_bucket"], configuration["s3_object_key"]
    with session_of(configuration) as aws:
        try:
            found = aws.client("s3", BRIEF).head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchKey"}:
                return {}
            raise
    version = found.get("VersionId", "null")
    if version == "null":
        return {OBJECT: UNPINNED + found["ETag"].strip('"')}
    return {OBJECT: version}


@action(
    "source/s3",
    watched=Watched(address=_address, look=_look),
    permissions=(
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
    ),
    variables={
        "BucketName": "Name of the bucket.",
        "ETag": "Entity tag of the object.",
        "ObjectKey": "Key of the object.",
        "VersionId": "Version of the object; empty in a bucket without versions.",
    },
)
def bring_from_s3(
    s3_bucket: str,
    s3_object_key: str,
    *,
    poll_for_source_changes: bool = True,
    allow_override_for_s3_object_key: bool = False,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Bring the newest version of an object, or the one the execution is pinned to.

    What a zip archive holds becomes the artifact; another object becomes one file in it.

    Args:
        s3_bucket: Bucket, which should keep versions, so that an execution that is run
            again gets the same content.
        s3_object_key: Key of the object.
        poll_for_source_changes: Has no effect: triggers say when to look.
        allow_override_for_s3_object_key: Let an execution be pinned to another key:
            `key=<key>` in place of a version.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the bucket.

    Returns:
        One artifact.

    Raises:
        ActionFailed: Bucket, object or version do not exist or may not be read, the
            object is larger than 7 GB, or an unsafe archive.

    Source: CodePipeline user guide, "Amazon S3 source action reference".
    """
    key, version = s3_object_key, job.revision
    if version and version.startswith("key="):
        if not allow_override_for_s3_object_key:
            raise ActionFailed("allow_override_for_s3_object_key is not set")
        key, version = version.removeprefix("key="), None
    with aws_session(credentials, role_arn, region) as aws:
        client = aws.client("s3")
        asked = {"Bucket": s3_bucket, "Key": key}
        try:
            head = client.head_object(
                **asked, **({"VersionId": version} if version else {})
            )
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion"}:
                of = f", version {version}" if version else ""
                raise ActionFailed(f"there is no s3://{s3_bucket}/{key}{of}") from error
            raise
        if head["ContentLength"] > LARGEST:
            raise ActionFailed(f"s3://{s3_bucket}/{key} is larger than 7 GB")
        found = head.get("VersionId", "")
        found = "" if found == "null" else found
        with job.workspace() as folder:
            file = folder / "object"
            bring(client, s3_bucket, key, file, found or None)
            if zipfile.is_zipfile(file):
                unpack(file, folder / "tree")
            else:
                (folder / "tree").mkdir()
                file.rename(folder / "tree" / (PurePosixPath(key).name or "object"))
            tree = Artifact.of(folder / "tree")
    return Outputs(
        artifacts={"source": tree},
        variables={
            "BucketName": s3_bucket,
            "ETag": head["ETag"].strip('"'),
            "ObjectKey": key,
            "VersionId": found,
        },
        summary=f"s3://{s3_bucket}/{key} {found}".rstrip(),
    )
