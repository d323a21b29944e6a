"""An emulated AWS, and artifacts to send there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import httpx
import pytest
from aws import Wire, json_service
from codebuild_double import CodeBuild
from git_http import GitServer
from moto_server import moto_server
from signed_git import signed_door

from prefect_delivery.actions import Artifact, Job
from prefect_delivery.tasks.build import codebuild_build

BUCKET = "exchange"
REGION = "eu-west-1"


class Notes:
    """A ledger's part for outside ids."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def external_id(self, key: str) -> str | None:
        return self.ids.get(key)

    def note_external_id(self, key: str, external_id: str) -> None:
        self.ids[key] = external_id


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as address:
        executing = {"stepfunctions": {"execute_state_machine": True}}
        httpx.post(f"{address}/moto-api/config", json=executing, trust_env=False)
        yield address


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(moto: str) -> Callable[[str], Any]:
    """Clients for tests, past the wire."""
    return lambda service: boto3.client(
        service,
        endpoint_url=moto,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def cloud(
    moto: str, wire: Wire, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An empty AWS, as a worker finds it by its environment."""
    httpx.post(f"{moto}/moto-api/reset", trust_env=False).raise_for_status()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with wire.to(moto) as address:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PREFECT_DELIVERY_AWS_BUCKET": BUCKET,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("prefect_delivery.actions.PAUSES", (0.01, 0.01, 0.01))
        yield


@pytest.fixture
def bucket(cloud: None, client: Callable[[str], Any]) -> str:
    client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return BUCKET


@pytest.fixture
def codebuild(
    bucket: str,
    wire: Wire,
    client: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[CodeBuild]:
    made = CodeBuild(client)
    monkeypatch.setattr(codebuild_build, "INTERVAL", 0.05)
    with json_service("codebuild", made.operations) as backend, wire.to(backend) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODEBUILD", url)
        yield made


@pytest.fixture
def artifact(home: Path, tmp_path: Path) -> Callable[[dict[str, str]], Artifact]:
    """Makes an artifact of files by path."""
    count = iter(range(100))

    def make(files: dict[str, str]) -> Artifact:
        folder = tmp_path / f"source{next(count)}"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return Artifact.of(folder)

    return make


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def job(notes: Notes, log: list[str], tmp_path: Path) -> Job:
    return Job(
        key="e1/Build/shop/1",
        name="Build / shop",
        pipeline="shop",
        execution="e1",
        external=notes,
        log=log.append,
        workspaces=tmp_path / "work",
    )


@pytest.fixture
def signed_git(
    cloud: None, git_server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with signed_door(git_server) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODECOMMIT", address)
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODECONNECTIONS", address)
        yield
