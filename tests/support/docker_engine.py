"""A Docker engine: that of this machine, or one of the tests' own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from polling import until


@contextmanager
def docker_engine() -> Iterator[str]:
    """Address of an engine; without bridge and firewall rules where it is our own."""
    try:
        with closing(docker.from_env()) as client:
            client.ping()
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return
    except DockerException:
        pass
    if os.getuid() or not shutil.which("dockerd"):
        pytest.skip("no Docker engine answers, and none can be started here")
    folder = Path(tempfile.mkdtemp(prefix="dockerd."))
    socket = f"unix://{folder}/docker.sock"
    process = subprocess.Popen(
        [
            *("dockerd", "--host", socket, "--pidfile", f"{folder}/pid"),
            *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"),
    )
    try:
        until(lambda: process.poll() is not None or _listens(socket))
        if process.poll() is not None:
            pytest.skip(
                f"dockerd does not start: {(folder / 'log').read_text()[-300:]}"
            )
        yield socket
    finally:
        process.terminate()
        process.wait()
        default = f"{folder}/exec/netns/default"
        subprocess.run(["umount", "-q", default], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(socket: str) -> bool:
    try:
        with closing(docker.DockerClient(socket)) as client:
            return bool(client.ping())
    except DockerException:
        return False
