"""The wheel in a new environment, with the newest of everything that it allows."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

SCHEDULE = """
import sys
from datetime import timedelta
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import IntervalSchedule

with get_client(sync_client=True) as client:
    flow = client.create_flow_from_name("scheduled")
    schedule = IntervalSchedule(interval=timedelta(hours=1))
    client.create_deployment(
        flow, "hourly", schedules=[DeploymentScheduleCreate(schedule=schedule)]
    )
"""


class Clean:
    """A virtual environment with nothing but the wheel and what it needs."""

    def __init__(self, folder: Path) -> None:
        assert UV
        self.bin = folder / "venv" / "bin"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            "HOME": str(folder),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        self._run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
        self._run(UV, "venv", "--quiet", "--python", sys.executable, self.bin.parent)
        (wheel,) = folder.glob("*.whl")
        python: list[str | Path] = ["--python", self.bin / "python"]
        self._run(UV, "pip", "install", "--quiet", *python, wheel)

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, cwd=ROOT, env=self.environment)

    def call(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        name, *arguments = command
        return subprocess.run(
            [self.bin / name, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.bin,
            env={**self.environment, **more},
        )


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    if not UV:
        pytest.skip("uv is not installed")
    return Clean(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def server(clean: Clean) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    started = subprocess.Popen(
        [clean.bin / "prefect", "server", "start", "--port", str(port)],
        env={**clean.environment, "PREFECT_API_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _until(lambda: _answers(url) or started.poll() is not None)
    assert started.poll() is None, "the server does not start"
    yield url
    os.killpg(started.pid, signal.SIGTERM)
    started.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.HTTPError:
        return False


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_wheel_brings_the_command_and_its_data(clean: Clean) -> None:
    shown = clean.call("deliver", "schema", "deploy/environment")

    assert shown.returncode == 0, shown.stderr
    assert "environment" in shown.stdout


def test_nothing_lands_outside_of_our_name(clean: Clean) -> None:
    (site,) = (clean.bin.parent / "lib").glob("*/site-packages")

    assert not [
        n for n in ("flows", "tasks", "blocks", "deployments") if (site / n).exists()
    ]


def test_a_client_is_understood_by_its_server(clean: Clean, server: str) -> None:
    # From FastAPI 0.151 on, Prefect's server answers this with 422.
    listed = clean.call("prefect", "deployment", "ls", PREFECT_API_URL=server)

    assert listed.returncode == 0, listed.stderr


def test_schedules_make_runs(clean: Clean, server: str) -> None:
    # With SQLAlchemy 2.1, Prefect's scheduler fails in the server's log and makes none.
    made = clean.call("python", "-c", SCHEDULE, PREFECT_API_URL=server)
    assert made.returncode == 0, made.stderr

    def runs() -> int:
        return len(httpx.post(f"{server}/flow_runs/filter", json={}).json())

    _until(lambda: runs() > 0)


def test_prefect_knows_our_blocks(clean: Clean, server: str) -> None:
    name = "delivery-host-environment"

    found = httpx.get(f"{server}/block_types/slug/{name}")

    assert found.status_code == 200, found.text
