"""An AWS that really runs containers and functions: ministack, in a venv of its own.

What it only pretends, the tests that use it say.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from docker_engine import docker_engine
from polling import until

from prefect_delivery.blocks.host_service import free_port

VERSION = "1.5.33"
"""Later ones are not tried; without a pin, pip takes a much older one."""
REGION = "eu-west-1"
IDENTITY = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """The address of a server whose containers run on an engine of this machine."""
    program = _installed()
    with docker_engine() as engine:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        folder.mkdir(parents=True)
        process = subprocess.Popen(
            [program],
            cwd=folder,
            stdout=(folder / "log").open("w"),
            stderr=subprocess.STDOUT,
            env={
                **kept,
                "DOCKER_HOST": engine,
                "GATEWAY_PORT": str(port),
                "BIND_HOST": "127.0.0.1",
                "MINISTACK_HOST": "127.0.0.1",
                "STATE_DIR": str(folder / "state"),
                "S3_DATA_DIR": str(folder / "s3"),
                # It would listen on all addresses.
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
            },
        )
        try:
            until(lambda: process.poll() is not None or _is_up(address))
            assert process.poll() is None, (folder / "log").read_text()
            # Tests make their images with the same engine.
            os.environ["MINISTACK_DOCKER_HOST"] = engine
            yield address
            httpx.post(f"{address}/_ministack/reset", trust_env=False, timeout=60)
        finally:
            os.environ.pop("MINISTACK_DOCKER_HOST", None)
            process.terminate()
            process.wait()


def _is_up(address: str) -> bool:
    try:
        url = f"{address}/_ministack/health"
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _installed() -> str:
    """Its program; made once for this machine, as its pins would bind our own venv."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    venv = home / "prefect-delivery" / f"ministack-{VERSION}"
    program = venv / "bin" / "ministack"
    if not program.exists():
        venv.parent.mkdir(parents=True, exist_ok=True)
        uv = shutil.which("uv", path=f"{sys.prefix}/bin:{os.environ['PATH']}")
        if uv is None:
            pytest.skip("ministack is not installed, and uv is not here to do it")
        # Tests that run side by side do the same; scripts name the folder for good.
        steps = [
            [uv, "venv", "-q", "--allow-existing", "-p", sys.executable, str(venv)],
            [uv, "pip", "install", "-q", "--python", str(venv / "bin" / "python")],
        ]
        steps[1].append(f"ministack[full]=={VERSION}")
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"ministack cannot be installed: {done.stderr[-300:]}")
    return str(program)
