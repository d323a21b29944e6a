"""Bring the digest of an image from Amazon ECR."""

import json

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import (
    Artifact,
    Configuration,
    Job,
    Outputs,
    Watched,
    action,
)
from prefect_delivery.blocks.aws_session import aws_session, code_of
from prefect_delivery.changes import OBJECT
from prefect_delivery.repositories import place_of
from prefect_delivery.tasks.source.asking_aws import BRIEF, session_of

FILE = "imageDetail.json"


def _address(configuration: Configuration) -> str:
    tag = configuration.get("image_tag", "latest")
    name = configuration["repository_name"]
    return f"ecr://{place_of(configuration)}/{name}:{tag}"


def _look(configuration: Configuration) -> dict[str, str]:
    """The digest of the image that a tag points to."""
    tag = configuration.get("image_tag", "latest")
    with session_of(configuration) as aws:
        try:
            found = aws.client("ecr", BRIEF).describe_images(
                repositoryName=configuration["repository_name"],
                imageIds=[{"imageTag": tag}],
            )
        except ClientError as error:
            if code_of(error) == "ImageNotFoundException":
                return {}
            raise
    return {OBJECT: found["imageDetails"][0]["imageDigest"]}


@action(
    "source/ecr",
    watched=Watched(address=_address, look=_look),
    permissions=("ecr:DescribeImages",),
    variables={
        "RegistryId": "Account of the registry.",
        "RepositoryName": "Name of the repository.",
        "ImageTag": "Tag it was found by; empty when it is pinned to a digest.",
        "ImageDigest": "Digest of the image.",
        "ImageURI": "Address of the image, with its digest.",
    },
)
def bring_from_ecr(
    repository_name: str,
    *,
    image_tag: str = "latest",
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Bring what an image tag points to now, or the digest the execution is pinned to.

    Args:
        repository_name: Name of the repository.
        image_tag: Tag of the image.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the repository.

    Returns:
        One artifact: the file `imageDetail.json`, which deployments to ECS read.

    Raises:
        ActionFailed: Repository or image do not exist or may not be read.

    Source: CodePipeline user guide, "Amazon ECR source action reference".
    """
    pinned = job.revision
    with aws_session(credentials, role_arn, region) as aws:
        found = aws.client("ecr").describe_images(
            repositoryName=repository_name,
            imageIds=[{"imageDigest": pinned} if pinned else {"imageTag": image_tag}],
        )["imageDetails"][0]
        registry, digest = found["registryId"], found["imageDigest"]
        host = f"{registry}.dkr.ecr.{aws.region}.{aws.domain}"
    address = f"{host}/{repository_name}@{digest}"
    pushed = found.get("imagePushedAt")
    detail = {
        "ImageSizeInBytes": str(found.get("imageSizeInBytes", "")),
        "ImageDigest": digest,
        "Version": "1.0",
        "ImagePushedAt": str(pushed or ""),
        "RegistryId": registry,
        "RepositoryName": repository_name,
        "ImageURI": address,
        "ImageTags": found.get("imageTags", []),
    }
    with job.workspace() as folder:
        (folder / FILE).write_text(json.dumps(detail, indent=2), encoding="utf-8")
        tree = Artifact.of(folder)
    return Outputs(
        artifacts={"source": tree},
        variables={
            "RegistryId": registry,
            "RepositoryName": repository_name,
            "ImageTag": "" if pinned else image_tag,
            "ImageDigest": digest,
            "ImageURI": address,
        },
        summary=address,
    )
