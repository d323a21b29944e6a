"""Fixtures that tests of several rooms share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from ecs_shop import EcsShop
    from git_http import GitServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="write the pictures of the docs, docs/images, anew",
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the ledger, artifacts, workspaces and logs of one test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("PREFECT_DELIVERY_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server of our own. It takes seconds to start: ask for it sparingly."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["GitServer"]:
    """A git server on this machine."""
    from git_http import MISSING, GitServer

    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    with GitServer(tmp_path_factory.mktemp("git") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS on this machine that really runs containers."""
    from ministack import ministack

    with ministack(tmp_path_factory.mktemp("aws") / "ministack") as address:
        yield address


@pytest.fixture
def aws_identity(ministack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a worker finds that AWS: by its environment."""
    from ministack import IDENTITY

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**IDENTITY, "AWS_ENDPOINT_URL": ministack}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("prefect_delivery.blocks.aws_environment.INTERVAL", 0.1)


@pytest.fixture(scope="session")
def ecs_images(ministack: str) -> None:
    """Images for its containers."""
    from ecs_shop import make_images

    make_images()


@pytest.fixture
def ecs_shop(
    aws_identity: None, ecs_images: None, ministack: str, home: Path, tmp_path: Path
) -> Iterator["EcsShop"]:
    """A service of ECS with circuit breaker."""
    from ecs_shop import EcsShop

    shop = EcsShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}", breaker=True)
    yield shop
    shop.end()
