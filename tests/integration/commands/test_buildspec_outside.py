"""Buildspecs in containers, with values from AWS, as other users, and killed."""

import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import psutil
import pytest
from moto_server import moto_server

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.build.buildspec import run_buildspec

PROGRAM = """
import sys
from prefect_delivery.actions import Artifact, Job
from prefect_delivery.tasks.build.buildspec import run_buildspec
job = Job(key="e1/Build/spec", log=lambda line: print(line, flush=True))
source = Artifact(digest=sys.argv[1], size=int(sys.argv[2]))
run_buildspec.fn(source, buildspec=sys.argv[3], job=job)
"""


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def run(source: Artifact, log: list[str]) -> Callable[..., Outputs]:
    def run(text: str, **options: Any) -> Outputs:
        job = Job(key="e1/Build/spec", name="Build / spec", log=log.append)
        return run_buildspec.fn(source, buildspec=text, **{"job": job, **options})

    return run


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with moto_server() as address:
        yield address


def test_a_build_in_a_container(
    run: Callable[..., Outputs], image: str, log: list[str], tmp_path: Path
) -> None:
    outputs = run(
        "version: 0.2\nenv: {exported-variables: [OUT]}\n"
        "phases: {build: {commands: ['X=1; cat a.txt', 'test ! -e /etc/passwd', exit 0, "
        "'OUT=made$X', 'cat a.txt > b.txt']}}\nartifacts: {files: [b.txt]}\n",
        image=image,
        outputs={"app": ["**"]},
    )

    outputs.artifacts["app"].unpack(tmp_path / "app")
    assert (tmp_path / "app/b.txt").read_text() == "hello\n"
    assert outputs.variables == {"OUT": "made1"}
    assert "Phase complete: BUILD State: SUCCEEDED" in log[-3]


def test_builds_of_a_batch_each_have_a_container(
    run: Callable[..., Outputs], image: str, log: list[str]
) -> None:
    run(
        "version: 0.2\nbatch: {build-matrix: {dynamic: {env: {variables: {N: [1, 2]}}}}}\n"
        "phases: {build: {commands: [echo $N]}}\n",
        image=image,
        batch=True,
    )

    assert {"[build0] 1", "[build1] 2"} <= set(log)


def test_values_come_from_parameter_store_and_secrets_manager(
    run: Callable[..., Outputs],
    aws: str,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    ssm, manager = boto3.client("ssm"), boto3.client("secretsmanager")
    ssm.put_parameter(Name="/a/b", Value="parameter-value", Type="SecureString")
    made = manager.create_secret(
        Name="db", SecretString=json.dumps({"pw": "old-value"})
    )
    manager.put_secret_value(
        SecretId="db", SecretString=json.dumps({"pw": "new-value"})
    )
    spec = (
        "version: 0.2\nenv:\n  parameter-store: {P: /a/b, OURS: /missing}\n"
        f"  secrets-manager: {{N: 'db:pw', O: 'db:pw:AWSPREVIOUS', A: '{made['ARN']}:pw'}}\n"
        "phases: {build: {commands: ['echo $P $N $O $A', "
        '\'test "$P $N $O $A" = "parameter-value new-value old-value new-value"\']}}\n'
    )

    run(spec, environment={"OURS": "1"})

    assert "*** *** *** ***" in log
    with pytest.raises(ActionFailed, match="parameter '/missing' cannot be read"):
        run(spec)
    with pytest.raises(ActionFailed, match="secret 'db' has no JSON key 'x'"):
        run("version: 0.2\nenv: {secrets-manager: {A: 'db:x'}}\nphases: {build: }\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_phases_run_as_other_users(
    source: Artifact, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The temporary folders of pytest let no other user in.
    folder = tempfile.mkdtemp(prefix="run-as-")
    try:
        Path(folder).chmod(Path(folder).stat().st_mode | stat.S_IXOTH)
        job = Job(log=log.append, workspaces=Path(folder) / "workspaces")
        run_buildspec.fn(
            source,
            buildspec="version: 0.2\nphases:\n"
            "  install: {commands: ['export KEPT=1; mkdir -p sub; cd sub']}\n"
            "  build: {run-as: nobody, commands: ['echo \"$(id -un) $KEPT ${PWD##*/}\"', "
            "'exit 0', 'echo still $(id -un)', 'touch $CODEBUILD_SRC_DIR/made', "
            "'echo home=$HOME']}\n"
            "  post_build: {commands: ['echo back $(id -un)']}\n",
            job=job,
        )
    finally:
        rmtree(folder)

    home = pwd.getpwnam("nobody").pw_dir
    assert {"nobody 1 sub", "still nobody", "back root", f"home={home}"} <= set(log)


def test_a_killed_build_leaves_nothing(source: Artifact, home: Path) -> None:
    # A name that no other process has.
    mark = str(home.parent / "mark")
    spec = (
        "version: 0.2\nphases: {build: {commands: "
        f"['sh -c \"sleep 987654; : {mark}\" &', echo ready, sleep 987654]}}}}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, source.digest, str(source.size), spec],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert any(line == "ready\n" for line in process.stdout)
    ours = [one for one in psutil.process_iter(["cmdline"]) if mark in _line(one)]
    assert ours

    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    _, alive = psutil.wait_procs(ours, timeout=30)
    assert alive == []


def _line(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or [])
