"""A Docker engine with a tiny image, sources to build, and programs that run them."""

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

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
    with pytest.MonkeyPatch.context() as patch:
        if not _answers():
            with _own_engine() as socket:
                patch.setenv("DOCKER_HOST", socket)
                yield from _client()
        else:
            yield from _client()


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> str:
    """An image that holds a shell and little else; made without any network."""
    engine.api.import_image_from_data(_file_system(), *IMAGE.split(":"))
    return IMAGE


def _answers() -> bool:
    try:
        with closing(docker.from_env()) as client:
            return bool(client.ping())
    except DockerException:
        return False


def _client() -> Iterator[docker.DockerClient]:
    with closing(docker.from_env()) as client:
        yield client


class _own_engine:
    """`dockerd` without bridge and firewall rules, reachable by a socket of its own."""

    def __enter__(self) -> str:
        if os.getuid() or not shutil.which("dockerd"):
            pytest.skip("no Docker engine answers, and none can be started here")
        self.folder = tempfile.mkdtemp(prefix="dockerd.")
        socket = f"unix://{self.folder}/docker.sock"
        self.process = subprocess.Popen(
            [
                *("dockerd", "--host", socket, "--pidfile", f"{self.folder}/pid"),
                *("--data-root", f"{self.folder}/data"),
                *("--exec-root", f"{self.folder}/exec"),
                *("--bridge=none", "--iptables=false", "--ip6tables=false"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._await_listening()
        return socket

    def _await_listening(self) -> None:
        said = []
        assert self.process.stderr
        for line in self.process.stderr:
            said.append(line)
            if re.search("API listen on", line):
                # What it says later must not fill the pipe.
                subprocess.Popen(
                    ["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL
                )
                return
        self.__exit__()
        pytest.skip("dockerd does not start here: " + "".join(said[-3:]))

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        subprocess.run(
            ["umount", "-q", f"{self.folder}/exec/netns/default"], check=False
        )
        shutil.rmtree(self.folder, ignore_errors=True)


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
