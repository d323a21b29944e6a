"""Custom actions, carried out by job workers that are processes of their own."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import job_worker
import pytest
import uvicorn
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed
from delivery_server import DeliveryServer
from deployed import until
from git_http import free_port

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.jobs import JobStatus
from prefect_delivery.server.app import create_app
from prefect_delivery.server.connections import Configuration
from prefect_delivery.tasks.invoke import worker_job
from prefect_delivery.tasks.invoke.custom_action import run_custom_action
from prefect_delivery.tasks.source.custom_action import bring_by_custom_action

Making = Callable[[dict[str, str]], Artifact]
Starting = Callable[[str, str], "subprocess.Popen[str]"]
Acting = Callable[..., Outputs]
KEY, SECRET = "WORKEROFTHESHOP00", "secret-of-the-shouting-worker"
SHOUTER = {
    "access_key": KEY,
    "secrets": ["env:SHOUTER_SECRET"],
    "actions": ["Build/Shouter/*", "Source/Shouter/1"],
}


@pytest.fixture
def endpoint(cloud: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server's application, in a thread of this process."""
    monkeypatch.setattr(worker_job, "INTERVAL", 0.05)
    monkeypatch.setenv("SHOUTER_SECRET", SECRET)
    configuration = Configuration.model_validate({"workers": {"shouter": SHOUTER}})
    with Ledger.open() as ledger:
        app = create_app(configuration, ledger, carry_out=None)
        port = free_port()
        served = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
        thread = threading.Thread(target=served.run, daemon=True)
        thread.start()
        until(lambda: served.started, "the server")
        yield f"http://127.0.0.1:{port}/delivery/codepipeline"
        served.should_exit = True
        thread.join()


@pytest.fixture
def worker() -> Iterator[Starting]:
    """Starts a job worker at an endpoint, in a mode."""
    running: list[subprocess.Popen[str]] = []
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def start(endpoint: str, mode: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, job_worker.__file__, endpoint, mode],
            env={**os.environ, **keys},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def codepipeline(endpoint: str) -> Any:
    """A worker's client, in this process."""
    return boto3.client(
        "codepipeline",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


@pytest.fixture
def act(job: Job) -> Acting:
    def carry_out(artifacts: dict[str, Artifact] = {}, **more: Any) -> Outputs:
        return run_custom_action.fn(
            "Build",
            "Shouter",
            artifacts,
            configuration={"Words": "hello"},
            **{"job": job, "timeout": 1, **more},
        )

    return carry_out


def test_a_worker_of_codepipeline_carries_out_a_custom_action(
    worker: Starting, act: Acting, bucket: str, artifact: Making, tmp_path: Path
) -> None:
    server = DeliveryServer(tmp_path, {"SHOUTER_SECRET": SECRET})
    server.start(workers={"shouter": SHOUTER})
    endpoint = f"http://127.0.0.1:{server.port}/delivery/codepipeline"
    process = worker(endpoint, "build")

    done = act({"app": artifact({"say.txt": "hello"})}, outputs={"loud": ["**"]})

    assert process.wait(30) == 0
    server.kill()
    done.artifacts["loud"].unpack(tmp_path / "loud")
    assert (tmp_path / "loud/say.txt").read_text() == "HELLO"
    assert done.variables == {"Words": "hello"}
    assert done.summary == "shouted"


def test_credentials_of_a_job_are_not_in_the_ledger(
    codepipeline: Any, act: Acting, bucket: str, artifact: Making, home: Path, job: Job
) -> None:
    action = _stopped(act, {"app": artifact({"say.txt": "hello"})})
    given = _polled(codepipeline)
    job.cancel("enough")
    action.join()

    access = given["data"]["artifactCredentials"]
    kept = b"".join(
        file.read_bytes() for file in home.rglob("ledger*") if file.is_file()
    )
    assert b"Shouter" in kept
    assert access["secretAccessKey"].encode() not in kept
    assert access["sessionToken"].encode() not in kept


def test_a_job_goes_on_by_its_continuation_token(
    endpoint: str, worker: Starting, act: Acting
) -> None:
    process = worker(endpoint, "continue")

    assert act().summary == "shouted"
    assert process.wait(30) == 0


def test_what_a_worker_says_of_its_failure_is_said(
    endpoint: str, worker: Starting, act: Acting
) -> None:
    worker(endpoint, "fail")

    with pytest.raises(ActionFailed, match="ConfigurationError: what should I shout"):
        act()


def test_a_job_whose_worker_was_killed_times_out(
    endpoint: str, worker: Starting, act: Acting
) -> None:
    process = worker(endpoint, "hang")

    def kill() -> None:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()

    killing = threading.Thread(target=kill)
    killing.start()
    with pytest.raises(ActionFailed, match="nothing was heard of job worker shouter"):
        act(job_timeout=0.02)
    killing.join()


def test_a_job_that_nobody_takes_ends_with_the_action(
    endpoint: str, act: Acting
) -> None:
    with pytest.raises(ActionFailed, match="did not end within"):
        act(timeout=0.01)


def test_a_stopped_action_takes_nothing_from_its_worker_any_more(
    codepipeline: Any, act: Acting, job: Job
) -> None:
    action = _stopped(act)
    given = _polled(codepipeline)
    codepipeline.acknowledge_job(jobId=given["id"], nonce=given["nonce"])
    job.cancel("enough")
    action.join()

    with pytest.raises(ClientError, match="InvalidJobStateException"):
        codepipeline.put_job_success_result(jobId=given["id"])
    with Ledger.open() as ledger:
        found = ledger.jobs.find(given["id"])
    assert found is not None
    assert found.status is JobStatus.FAILED


def test_two_workers_do_not_take_the_same_job(
    codepipeline: Any, act: Acting, job: Job
) -> None:
    action = _stopped(act)

    given = _polled(codepipeline)
    assert codepipeline.poll_for_jobs(actionTypeId=job_worker.KIND)["jobs"] == []
    with pytest.raises(ClientError, match="InvalidNonceException"):
        codepipeline.acknowledge_job(jobId=given["id"], nonce="made-up")
    job.cancel("enough")
    action.join()


def test_a_source_is_brought_with_its_revision(
    codepipeline: Any, client: Callable[[str], Any], bucket: str, job: Job
) -> None:
    done: list[Outputs] = []
    action = threading.Thread(
        target=lambda: done.append(
            bring_by_custom_action.fn("Shouter", timeout=1, job=job)
        )
    )
    action.start()
    kind = {**job_worker.KIND, "category": "Source"}
    given = _polled(codepipeline, kind)
    codepipeline.acknowledge_job(jobId=given["id"], nonce=given["nonce"])
    place = given["data"]["outputArtifacts"][0]["location"]["s3Location"]
    empty = b"PK\x05\x06" + bytes(18)
    client("s3").put_object(
        Bucket=place["bucketName"], Key=place["objectKey"], Body=empty
    )
    revision = {"revision": "r7", "changeIdentifier": "c"}
    codepipeline.put_job_success_result(jobId=given["id"], currentRevision=revision)
    action.join()

    assert done[0].variables == {"commit": "r7"}
    assert list(done[0].artifacts) == ["source"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"aws_secret_access_key": "another-secret"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "SOMEBODYELSE00000"}, "UnrecognizedClientException"),
    ],
)
def test_nobody_else_gets_jobs(endpoint: str, given: dict[str, str], said: str) -> None:
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    client = boto3.client("codepipeline", endpoint_url=endpoint, **{**keys, **given})

    with pytest.raises(ClientError, match=said):
        client.poll_for_jobs(actionTypeId=job_worker.KIND)


def test_a_worker_gets_no_jobs_of_other_types(codepipeline: Any) -> None:
    kind = {**job_worker.KIND, "provider": "Whisperer"}

    with pytest.raises(ClientError, match="AccessDeniedException"):
        codepipeline.poll_for_jobs(actionTypeId=kind)
    with pytest.raises(ClientError, match="JobNotFoundException"):
        codepipeline.get_job_details(jobId="11111111-1111-1111-1111-111111111111")


def _stopped(act: Acting, *given: Any) -> threading.Thread:
    """An action that will be stopped."""

    def acting() -> None:
        with suppress(ActionFailed):
            act(*given)

    action = threading.Thread(target=acting)
    action.start()
    return action


def _polled(client: Any, kind: dict[str, str] = job_worker.KIND) -> dict[str, Any]:
    """The next job of a type, when there is one."""
    while True:
        for found in client.poll_for_jobs(actionTypeId=kind)["jobs"]:
            job: dict[str, Any] = found
            return job
