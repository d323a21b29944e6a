"""A pipeline as `get-pipeline` prints it, whose image is built, pushed and really run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import docker
import pytest
from aws import json_service
from container_codebuild import ContainerCodeBuild
from ecs_shop import EcsShop
from git_http import GitServer
from ministack import REGION
from shell_image import IMAGE, import_shell_image
from signed_git import signed_door

from prefect_delivery.engine.state import Execution

SUPPORT = Path(__file__).parent
BUCKET = "exchange"
BUILDSPEC = """\
version: 0.2
env: {exported-variables: [IMAGE]}
phases:
  build:
    commands:
      - IMAGE="$REPOSITORY:$COMMIT"
      - printf '[{"name":"web","imageUri":"%s"}]' "$IMAGE" > imagedefinitions.json
artifacts:
  files: [imagedefinitions.json, Dockerfile, start.sh]
"""
DOCKERFILE = f"""\
FROM {IMAGE}
COPY start.sh /
ENTRYPOINT ["/bin/sh", "/start.sh"]
"""
SERVES = "trap 'exit 0' TERM\nsleep {} & wait\n"
CRASHES = "exit 3\n"
DEADLY = """
import sys
from deadly import Deadly
from prefect_delivery.cli import main
from prefect_delivery.ledger import Ledger

at, opened = int(sys.argv.pop(1)), Ledger.open

def open_deadly():
    ledger = opened()
    Deadly(ledger, at, "after")
    return ledger

Ledger.open = open_deadly
main()
"""
"""`deliver`, killed right after a write to the journal or the leases."""


class DeclaredShop:
    """A repository of CodeCommit, built by CodeBuild, pushed to ECR, run by ECS.

    Args:
        ecs: The service, which runs `shop:1` before anybody deploys.
        address: Of the AWS.
    """

    def __init__(
        self, folder: Path, ecs: EcsShop, address: str, git: GitServer
    ) -> None:
        self.folder = folder
        self.ecs = ecs
        self.git = git
        self.address = address
        registry = address.partition("//")[2]
        self.repository = f"{registry}/{ecs.name}"
        self.client("ecr").create_repository(repositoryName=ecs.name)
        s3 = self.client("s3")
        if BUCKET not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        text = json.dumps({"pipeline": self.declaration(), "metadata": {}}, indent=4)
        (folder / "shop.json").write_text(text)

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.address, region_name=REGION)

    def declaration(self) -> dict[str, Any]:
        variables = [
            {"name": "REPOSITORY", "value": self.repository, "type": "PLAINTEXT"},
            {"name": "COMMIT", "value": "#{Source.CommitId}", "type": "PLAINTEXT"},
        ]
        source = _action(
            *("Source", "Source", "CodeCommit"),
            {
                "RepositoryName": "shop",
                "BranchName": "main",
                "PollForSourceChanges": "false",
            },
            outputArtifacts=[{"name": "SourceArtifact"}],
            namespace="Source",
        )
        build = _action(
            *("Build", "Build", "CodeBuild"),
            {"ProjectName": "shop", "EnvironmentVariables": json.dumps(variables)},
            inputArtifacts=[{"name": "SourceArtifact"}],
            outputArtifacts=[{"name": "BuildArtifact"}],
            namespace="Build",
        )
        push = _action(
            *("Push", "Build", "ECRBuildAndPublish"),
            {
                "ECRRepositoryName": self.ecs.name,
                "ImageTags": "#{Source.CommitId}",
                "RegistryType": "private",
            },
            inputArtifacts=[{"name": "BuildArtifact"}],
        )
        service = _action(
            *("Service", "Deploy", "ECS"),
            {"ClusterName": "shop", "ServiceName": self.ecs.name},
            inputArtifacts=[{"name": "BuildArtifact"}],
        )
        return {
            "name": "shop",
            "roleArn": "arn:aws:iam::000000000000:role/pipeline",
            "artifactStore": {"type": "S3", "location": BUCKET},
            "stages": [
                {"name": action["name"], "actions": [action]}
                for action in (source, build, push, service)
            ],
            "version": 3,
            "executionMode": "QUEUED",
            "pipelineType": "V2",
        }

    def publish(self, script: str) -> str:
        """Push a commit whose image runs a script; the commit."""
        source = self.folder / "source"
        source.mkdir(exist_ok=True)
        (source / "buildspec.yml").write_text(BUILDSPEC)
        (source / "Dockerfile").write_text(DOCKERFILE)
        (source / "start.sh").write_text(script)
        self.git.publish(source, self.ecs.name)
        head = self.git.repositories / f"{self.ecs.name}.git/refs/heads/main"
        return head.read_text().strip()

    def image(self, commit: str) -> str:
        """The image that was pushed for a commit, by its digest."""
        found = self.client("ecr").describe_images(
            repositoryName=self.ecs.name, imageIds=[{"imageTag": commit}]
        )
        return f"{self.repository}@{found['imageDetails'][0]['imageDigest']}"

    def deliver(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self._call([str(Path(sys.executable).with_name("deliver")), *words])

    def deliver_and_die(
        self, at: int, *words: str
    ) -> "subprocess.CompletedProcess[str]":
        """`deliver`, killed (SIGKILL) right after its write to the journal, the `at`th."""
        return self._call([sys.executable, "-c", DEADLY, str(at), *words])

    def _call(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(SUPPORT)},
            capture_output=True,
            text=True,
            check=False,
        )

    def latest(self) -> Execution:
        return self.ecs.ledger.executions.find("shop")


@contextmanager
def declared_shop(
    folder: Path, ecs: EcsShop, address: str, git: GitServer
) -> Iterator[DeclaredShop]:
    """The shop, and what of AWS is a double: CodeBuild, and the door of CodeCommit."""
    shop = DeclaredShop(folder, ecs, address, git)
    engine = os.environ["MINISTACK_DOCKER_HOST"]
    with closing(docker.DockerClient(engine)) as client:
        import_shell_image(client)
    builds = ContainerCodeBuild(shop.client, IMAGE)
    with (
        json_service("codebuild", builds.operations) as codebuild,
        signed_door(git, ecs.name) as codecommit,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DOCKER_HOST", engine)
        patch.setenv("PREFECT_DELIVERY_AWS_BUCKET", BUCKET)
        patch.setenv("AWS_ENDPOINT_URL_CODEBUILD", codebuild)
        patch.setenv("AWS_ENDPOINT_URL_CODECOMMIT", codecommit)
        yield shop


def _action(
    name: str, category: str, provider: str, configuration: dict[str, str], **more: Any
) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {
        "name": name,
        "actionTypeId": kind,
        "runOrder": 1,
        "configuration": configuration,
        **more,
    }
