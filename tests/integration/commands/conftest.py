"""A Docker engine with a tiny image, sources to build, and programs that run them."""

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from docker_engine import docker_engine

from prefect_delivery.actions import Artifact

PROGRAMS = ("sh", "sleep", "cat", "env", "head", "id", "touch")
IMAGE = "prefect-delivery-test:1"


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
    engine.api.import_image_from_data(_file_system(), *IMAGE.split(":"))
    return IMAGE


def _file_system() -> bytes:
    """A tar archive with some programs of this machine and the libraries they need."""
    files = {f"bin/{name}": Path(shutil.which(name) or name) for name in PROGRAMS}
    for program in list(files.values()):
        needed = subprocess.run(
            ["ldd", program], capture_output=True, text=True, check=True
        )
        for library in re.findall(r"(/\S+) \(0x", needed.stdout):
            files[library.lstrip("/")] = Path(library)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for name, path in files.items():
            archive.add(path.resolve(), name)
    return buffer.getvalue()
