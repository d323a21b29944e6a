import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.containers import JOB_LABEL, remove_orphans
from prefect_delivery.tasks.build.commands import run_commands

KEY = "e1/Build/container"
PROGRAM = """
import sys
from prefect_delivery.actions import Artifact, Job
from prefect_delivery.tasks.build.commands import run_commands
job = Job(key=sys.argv[3], log=lambda line: print(line, flush=True))
source = Artifact(digest=sys.argv[1], size=int(sys.argv[2]))
run_commands.fn(source, ["echo ready", "sleep 600"], image=sys.argv[4], job=job)
"""


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def build(source: Artifact, image: str, log: list[str]) -> Callable[..., Outputs]:
    job = Job(key=KEY, log=log.append)

    def run(*commands: str, **options: Any) -> Outputs:
        return run_commands.fn(
            source, list(commands), **{"image": image, "job": job, **options}
        )

    return run


def left(engine: docker.DockerClient) -> list[str]:
    """Keys of the containers of our jobs that the engine still has."""
    filters: dict[str, str | list[str] | bool] = {"label": f"{JOB_LABEL}={KEY}"}
    found = engine.containers.list(all=True, filters=filters)
    return [container.labels[JOB_LABEL] for container in found]


def test_commands_run_in_the_image_on_the_same_workspace(
    build: Callable[..., Outputs],
    engine: docker.DockerClient,
    log: list[str],
    tmp_path: Path,
) -> None:
    outputs = build(
        "cat a.txt",
        'test ! -e /etc/passwd && echo "$VALUE" > out',
        'echo "V=$VALUE" >> "$DELIVERY_OUTPUT"',
        environment={"VALUE": "$(id) é"},
        outputs={"out": ["out"]},
    )

    outputs.artifacts["out"].unpack(tmp_path / "out")
    assert (tmp_path / "out/out").read_text() == "$(id) é\n"
    assert outputs.variables == {"V": "$(id) é"}
    assert log[:2] == ["$ cat a.txt", "hello"]
    assert left(engine) == []


def test_the_worker_s_environment_does_not_reach_a_container(
    build: Callable[..., Outputs], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_TOKEN", "correct horse battery")

    build("env", 'echo "$T"', secrets={"T": "env:WORKER_TOKEN"})

    names = {line.partition("=")[0] for line in log if "=" in line}
    assert names == {"CI", "DELIVERY_OUTPUT", "HOME", "HOSTNAME", "PATH", "PWD", "T"}
    assert "T=***" in log and log[-1] == "***"


def test_files_made_in_a_container_are_ours(build: Callable[..., Outputs]) -> None:
    build(f'test "$(id -u):$(id -g)" = {os.getuid()}:{os.getgid()}', 'touch "$HOME/x"')


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("exit 4", {}, "'exit 4' ended with exit code 4"),
        ("sleep 600", {"timeout": 0.02}, r"'sleep 600' did not end within 1\.2 s"),
        (
            "head -c 60000000 /dev/zero > /dev/shm/x",
            {"memory": 40},
            "used more than 40 MB of memory",
        ),
        ("true", {"image": "no.such.host.invalid/x:1"}, "cannot be pulled"),
        ("true", {"image": "Not An Image"}, "Not An Image"),
    ],
)
def test_a_failure_says_how_the_command_ended_and_leaves_no_container(
    build: Callable[..., Outputs],
    engine: docker.DockerClient,
    command: str,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ActionFailed, match=message):
        build(command, **options)

    assert left(engine) == []


def test_an_image_without_a_shell_is_named(
    build: Callable[..., Outputs], engine: docker.DockerClient
) -> None:
    empty = bytes(10240)  # an empty tar archive
    engine.api.import_image_from_data(empty, "prefect-delivery-empty", "1")

    with pytest.raises(
        ActionFailed, match="cannot be run in image 'prefect-delivery-e"
    ):
        build("true", image="prefect-delivery-empty:1")

    assert left(engine) == []


def test_a_cancelled_action_removes_its_container(
    build: Callable[..., Outputs], engine: docker.DockerClient
) -> None:
    job = Job(
        key=KEY,
        log=lambda line: job.cancel("stopped by ann") if line == "ready" else None,
    )

    with pytest.raises(ActionFailed, match=r"^stopped by ann$"):
        build("echo ready", "sleep 600", job=job)

    assert left(engine) == []


def test_a_reader_that_fails_leaves_no_container(
    build: Callable[..., Outputs], engine: docker.DockerClient
) -> None:
    def fail(_: str) -> None:
        raise OSError("no room for the log")

    with pytest.raises(OSError, match="no room"):
        build("sleep 600", job=Job(key=KEY, log=fail))

    assert left(engine) == []


def test_a_command_that_closes_its_output_is_waited_for(
    build: Callable[..., Outputs],
) -> None:
    outputs = build("exec >/dev/null 2>&1", "sleep 1", 'echo V=1 >> "$DELIVERY_OUTPUT"')

    assert outputs.variables == {"V": "1"}


def start_and_kill(source: Artifact, image: str) -> None:
    """Have a process start a container, and kill the process."""
    argv = [sys.executable, "-c", PROGRAM, source.digest, str(source.size), KEY, image]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout and "ready\n" in worker.stdout
        worker.kill()


def test_the_container_of_a_killed_worker_is_removed_as_an_orphan(
    source: Artifact, image: str, engine: docker.DockerClient
) -> None:
    start_and_kill(source, image)
    assert left(engine) == [KEY]

    removed = remove_orphans(is_live=lambda _: True)

    assert KEY in removed
    assert left(engine) == []


def test_the_next_attempt_removes_the_container_of_a_killed_one(
    source: Artifact,
    image: str,
    engine: docker.DockerClient,
    build: Callable[..., Outputs],
    log: list[str],
) -> None:
    start_and_kill(source, image)

    build("echo second")

    assert "second" in log
    assert left(engine) == []


def test_a_container_of_a_living_job_is_no_orphan(
    build: Callable[..., Outputs], engine: docker.DockerClient
) -> None:
    removed: list[str] = []

    def look(line: str) -> None:
        if line == "ready":
            removed.extend(remove_orphans(is_live=lambda key: key == KEY))

    build("echo ready", job=Job(key=KEY, log=look))

    assert KEY not in removed


def test_without_an_engine_the_error_says_what_to_do(
    build: Callable[..., Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")

    with pytest.raises(ActionFailed, match="no Docker engine answers") as failure:
        build("true")

    assert "leave out 'image'" in str(failure.value)
