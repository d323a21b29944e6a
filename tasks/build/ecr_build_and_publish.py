"""Build a container image and push it to Amazon ECR."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import AwsSession, aws_session
from prefect_delivery.process import clean_environment, run_process

PUBLIC_REGION: Final = "us-east-1"
"""Where the public registry is asked, wherever one is."""


@action(
    "build/ecr-build-and-publish",
    permissions=(
        "ecr:BatchCheckLayerAvailability",
        "ecr:CompleteLayerUpload",
        "ecr:DescribeImages",
        "ecr:DescribeRepositories",
        "ecr:GetAuthorizationToken",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ),
    variables={
        "ECRImageDigestId": "digest of the image, such as sha256:...",
        "ECRRepositoryName": "name of the repository",
    },
)
def build_and_publish_to_ecr(
    artifact: Artifact,
    ecr_repository_name: str,
    *,
    docker_file_path: str = ".",
    image_tags: str = "latest",
    registry_type: Literal["private", "public"] = "private",
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Build an image of the artifact on the worker's Docker engine, and push it.

    It needs the `docker` program on the worker. What was pushed is not built again by a
    later attempt. In a repository with immutable tags a tag is pushed only once.

    Args:
        artifact: What the image is built from.
        ecr_repository_name: Name of the repository, which exists.
        docker_file_path: The Dockerfile in the artifact, or its folder.
        image_tags: Tags of the image, separated by commas.
        registry_type: Whether the repository is a private or a public one.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of a private repository.
        timeout: Minutes that the build, and each push, may take.

    Raises:
        ActionFailed: The build or a push fails, or there is no such repository.

    Source: CodePipeline user guide, "ECRBuildAndPublish build action reference".
    """
    tags = [each.strip() for each in image_tags.split(",") if each.strip()]
    if not tags:
        raise ActionFailed("'image_tags' names no tag")
    public = registry_type == "public"
    place = PUBLIC_REGION if public else region
    with aws_session(credentials, role_arn, place) as aws:
        service = "ecr-public" if public else "ecr"
        client = aws.client(service)
        found = client.describe_repositories(repositoryNames=[ecr_repository_name])
        name = _reachable(aws, service, found["repositories"][0]["repositoryUri"])

        def built() -> str:
            with job.workspace() as folder:
                docker = _docker(
                    folder, name.partition("/")[0], _token(client, public), timeout, job
                )
                _build(artifact, docker_file_path, folder, name, tags, docker)
                for tag in tags:
                    docker("push", f"{name}:{tag}")
            image = client.describe_images(
                repositoryName=ecr_repository_name, imageIds=[{"imageTag": tags[0]}]
            )
            return str(image["imageDetails"][0]["imageDigest"])

        digest = job.start_or_attach(built)
    return Outputs(
        variables={
            "ECRImageDigestId": digest,
            "ECRRepositoryName": ecr_repository_name,
        },
        summary=f"{ecr_repository_name}@{digest}",
    )


def _build(
    artifact: Artifact,
    file: str,
    folder: Path,
    name: str,
    tags: list[str],
    docker: Callable[..., None],
) -> None:
    tree = (folder / "tree").resolve()
    artifact.unpack(tree)
    path = (tree / file).resolve()
    if path.is_dir():
        path /= "Dockerfile"
    if not path.is_relative_to(tree) or not path.is_file():
        raise ActionFailed(
            f"the artifact has no Dockerfile '{file}'",
            hint="give its path as 'docker_file_path'",
        )
    names = [part for tag in tags for part in ("--tag", f"{name}:{tag}")]
    docker("build", "--file", str(path), *names, str(tree))


def _docker(
    folder: Path, host: str, token: str, timeout: float, job: Job
) -> Callable[..., None]:
    """Carries out a command of `docker`, logged in at a registry."""
    program = which("docker")
    if program is None:
        raise ActionFailed("'docker' is not installed on this worker")
    # Arguments can be seen by others on this machine; the folder cannot.
    config = folder / "docker"
    config.mkdir()
    logged_in = {"auths": {host: {"auth": token}}}
    (config / "config.json").write_text(json.dumps(logged_in), encoding="utf-8")
    engine = os.environ.get("DOCKER_HOST")
    env = clean_environment({"DOCKER_HOST": engine} if engine else {})

    def run(*arguments: str) -> None:
        run_process(
            [program, "--config", str(config), *arguments],
            cwd=folder,
            env=env,
            on_line=job.log,
            timeout=timeout * 60,
            cancelled=job.cancelled,
        )

    return run


def _token(client: Any, public: bool) -> str:
    data = client.get_authorization_token()["authorizationData"]
    return str((data if public else data[0])["authorizationToken"])


def _reachable(aws: AwsSession, service: str, address: str) -> str:
    """An image's name, at the registry that stands in for AWS' own if one is named."""
    endpoint = aws.endpoint(service)
    if endpoint is None:
        return address
    return f"{urlsplit(endpoint).netloc}/{address.partition('/')[2]}"
