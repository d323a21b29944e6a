"""Images that a Docker engine really builds and pushes, to ministack's registry."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3  # type: ignore[import-untyped]  # no py.typed
import docker
import pytest
from ministack import REGION

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.build.ecr_build_and_publish import (
    build_and_publish_to_ecr,
)

Making = Callable[[dict[str, str]], Artifact]
DOCKERFILE = "FROM scratch\nCOPY greeting.txt /\n"


@pytest.fixture
def repository(
    aws_identity: None, ministack: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("DOCKER_HOST", os.environ["MINISTACK_DOCKER_HOST"])
    name = f"shop-{uuid4().hex[:8]}"
    client = boto3.client("ecr", endpoint_url=ministack, region_name=REGION)
    client.create_repository(repositoryName=name)
    return name


def images(repository: str) -> list[dict[str, Any]]:
    client = boto3.client("ecr", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    found: list[dict[str, Any]] = client.describe_images(repositoryName=repository)[
        "imageDetails"
    ]
    return found


def build(source: Artifact, repository: str, job: Job, **more: Any) -> Outputs:
    made: Outputs = build_and_publish_to_ecr.fn(source, repository, job=job, **more)
    return made


def test_an_image_is_built_pushed_and_can_be_pulled(
    repository: str, ministack: str, artifact: Making, job: Job
) -> None:
    source = artifact({"Dockerfile": DOCKERFILE, "greeting.txt": "hello"})

    made = build(source, repository, job, image_tags="v1, latest")

    (image,) = images(repository)
    assert sorted(image["imageTags"]) == ["latest", "v1"]
    assert made.variables == {
        "ECRImageDigestId": image["imageDigest"],
        "ECRRepositoryName": repository,
    }
    host = ministack.partition("//")[2]
    engine = docker.DockerClient(os.environ["DOCKER_HOST"])
    name = f"{host}/{repository}@{image['imageDigest']}"
    pulled = engine.images.pull(name, auth_config={"username": "AWS", "password": "x"})
    assert name in pulled.attrs["RepoDigests"]
    engine.images.remove(str(pulled.id), force=True)
    engine.close()


def test_a_later_attempt_builds_nothing_again(
    repository: str, artifact: Making, job: Job, log: list[str]
) -> None:
    source = artifact({"app/Dockerfile": DOCKERFILE, "greeting.txt": "hello"})
    first = build(source, repository, job, docker_file_path="app")
    log.clear()

    assert build(source, repository, job, docker_file_path="app") == first

    assert log == []
    assert len(images(repository)) == 1


def test_what_is_wrong_is_said(repository: str, artifact: Making, job: Job) -> None:
    with pytest.raises(ActionFailed, match=r"no Dockerfile '\.'"):
        build(artifact({"other": ""}), repository, job)
    broken = artifact({"Dockerfile": "FROM scratch\nCOPY nothing /\n"})
    with pytest.raises(ActionFailed, match=r"docker.*exit code"):
        build(broken, repository, job)
    with pytest.raises(ActionFailed, match="RepositoryNotFound"):
        build(broken, "none", job)
    with pytest.raises(ActionFailed, match="names no tag"):
        build(broken, repository, job, image_tags=" ,")
    assert images(repository) == []
