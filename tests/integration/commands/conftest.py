"""A Docker engine with a tiny image, sources to build, and programs that run them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from docker_engine import docker_engine
from shell_image import import_shell_image

from prefect_delivery.actions import Artifact


@pytest.fixture
def source(home: Path, tmp_path: Path) -> Artifact:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.txt").write_text("hello\n")
    return Artifact.of(tmp_path / "source")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine of this machine, or one of our own while the tests run."""
    with docker_engine() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        with closing(docker.from_env()) as client:
            yield client


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> str:
    """An image that holds a shell and little else; made without any network."""
    return import_shell_image(engine)
