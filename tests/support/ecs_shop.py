"""A service of ECS whose containers really run, and releases for it."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import docker
from ministack import REGION
from polling import until

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.ecs_service import EcsServiceEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release

_SLEEP = "trap 'exit 0' TERM; sleep {} & wait"
IMAGES = {
    "shop:1": _SLEEP.format(1001),
    "shop:2": _SLEEP.format(1002),
    "shop:bad": "exit 3",
}
"""Images, and what their shell does."""


def make_images() -> None:
    """Images of nothing but a shell and `sleep`, on the engine of ministack."""
    programs = [shutil.which("bash") or "bash", shutil.which("sleep") or "sleep"]
    said = subprocess.run(
        ["ldd", *programs], capture_output=True, text=True, check=True
    )
    libraries = re.findall(r"(/\S+)\s+\(", said.stdout)
    with closing(docker.DockerClient(os.environ["MINISTACK_DOCKER_HOST"])) as engine:
        for name, line in IMAGES.items():
            repository, _, tag = name.partition(":")
            entry = json.dumps([programs[0], "-c", line])
            content = io.BytesIO()
            with tarfile.open(fileobj=content, mode="w") as tar:
                for file in {*programs, *libraries}:
                    tar.add(os.path.realpath(file), arcname=file.lstrip("/"))
            engine.api.import_image_from_data(
                content.getvalue(), repository, tag, changes=[f"ENTRYPOINT {entry}"]
            )


class EcsShop:
    """A service with one task of image `shop:1`, that nobody has deployed by us.

    Args:
        breaker: Whether the service has ECS's circuit breaker.
    """

    environment = "production"

    def __init__(self, folder: Path, address: str, name: str, breaker: bool) -> None:
        self.folder = folder
        self.name = name
        self.ledger = Ledger.open()
        self.ecs = boto3.client("ecs", endpoint_url=address, region_name=REGION)
        self.ecs.create_cluster(clusterName="shop")
        self.first = self.ecs.register_task_definition(
            family=name,
            networkMode="host",
            containerDefinitions=[
                {"name": "web", "image": "shop:1", "memory": 64, "essential": True}
            ],
            tags=[{"key": "team", "value": "shop"}],
        )["taskDefinition"]["taskDefinitionArn"]
        switch = {"enable": breaker, "rollback": breaker}
        self.ecs.create_service(
            cluster="shop",
            serviceName=name,
            taskDefinition=self.first,
            desiredCount=1,
            deploymentConfiguration={"deploymentCircuitBreaker": switch},
        )
        until(lambda: self.service()["runningCount"] == 1)

    def target(self, **settings: Any) -> EcsServiceEnvironment:
        return EcsServiceEnvironment(cluster="shop", service=self.name, **settings)

    def artifact(self, image: str) -> Artifact:
        folder = self.folder / image.replace(":", "-")
        folder.mkdir(exist_ok=True)
        images = [{"name": "web", "imageUri": image}]
        (folder / "imagedefinitions.json").write_text(json.dumps(images))
        return Artifact.of(folder)

    def release(self, image: str) -> Release:
        artifact = self.artifact(image)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": image},
            definition_digest="0" * 64,
            variables={},
        )

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_services(
            cluster="shop", services=[self.name], include=["TAGS"]
        )["services"][0]
        return found

    def images(self) -> set[str]:
        """Images of the containers that the engine really runs for the service."""
        tasks = self.ecs.list_tasks(cluster="shop", serviceName=self.name)["taskArns"]
        ours = {arn.rpartition("/")[2][:8] for arn in tasks}
        with closing(
            docker.DockerClient(os.environ["MINISTACK_DOCKER_HOST"])
        ) as engine:
            return {
                str(container.attrs["Config"]["Image"])
                for container in engine.containers.list()
                if any(task in str(container.name) for task in ours)
            }

    def end(self) -> None:
        self.ecs.delete_service(cluster="shop", service=self.name, force=True)
