"""Calls of Lambda functions. The service is a double that runs Python functions."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws import Wire
from lambda_double import Function, lambdas

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.invoke import lambda_job
from prefect_delivery.tasks.invoke.lambda_ import call_function
from prefect_delivery.tasks.rules.lambda_invoke import hold_if_function_succeeds

Make = Callable[[dict[str, str]], Artifact]
Clients = Callable[[str], Any]


@pytest.fixture
def functions(
    bucket: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Function]]:
    made: dict[str, Function] = {}
    monkeypatch.setattr(lambda_job, "PAUSE", 0.01)
    with lambdas(made) as backend, wire.to(backend) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", address)
        yield made


def test_a_function_gets_the_job_and_goes_on_until_it_is_done(
    functions: dict[str, Function],
    artifact: Make,
    client: Clients,
    job: Job,
    log: list[str],
    tmp_path: Path,
) -> None:
    events: list[dict[str, Any]] = []

    def shout(event: dict[str, Any]) -> dict[str, Any]:
        events.append(event["CodePipeline.job"])
        data = events[-1]["data"]
        if "continuationToken" not in data:
            return {"continuationToken": "half way"}
        source, target = (
            data[name][0]["location"]["s3Location"]
            for name in ("inputArtifacts", "outputArtifacts")
        )
        body = client("s3").get_object(
            Bucket=source["bucketName"], Key=source["objectKey"]
        )["Body"]
        text = zipfile.ZipFile(io.BytesIO(body.read())).read("a.txt").decode()
        bundle = io.BytesIO()
        with zipfile.ZipFile(bundle, "w") as archive:
            archive.writestr("b.txt", text.upper())
        client("s3").put_object(
            Bucket=target["bucketName"], Key=target["objectKey"], Body=bundle.getvalue()
        )
        return {"outputVariables": {"size": "5"}, "executionDetails": {"summary": "ok"}}

    functions["shout"] = shout

    made = call_function.fn(
        "shout",
        {"src": artifact({"a.txt": "hello"})},
        user_parameters="loud",
        outputs={"out": ["**"]},
        job=job,
    )

    made.artifacts["out"].unpack(tmp_path / "out")
    assert (tmp_path / "out/b.txt").read_text() == "HELLO"
    assert (made.variables, made.summary) == ({"size": "5"}, "ok")
    assert [e["data"].get("continuationToken") for e in events] == [None, "half way"]
    assert len({event["id"] for event in events}) == 1
    configuration = events[0]["data"]["actionConfiguration"]["configuration"]
    assert configuration == {"FunctionName": "shout", "UserParameters": "loud"}
    assert "hello" in log


@pytest.mark.parametrize("use", [call_function, hold_if_function_succeeds])
def test_failures_of_functions_are_said(
    functions: dict[str, Function], notes: Any, use: Any
) -> None:
    functions["raises"] = lambda _: json.loads("{")
    functions["fails"] = lambda _: {
        "failureDetails": {"type": "ConfigurationError", "message": "no table"}
    }

    for name, said in {
        "raises": "raises failed: JSONDecodeError",
        "fails": "ConfigurationError: no table",
        "missing": "ResourceNotFoundException: Function not found",
    }.items():
        with pytest.raises(ActionFailed, match=said):
            use.fn(name, job=Job(key=name, external=notes))


def test_a_lost_answer_fails_and_calls_no_second_time(
    functions: dict[str, Function], job: Job, wire: Wire
) -> None:
    calls: list[object] = []
    functions["pay"] = calls.append
    wire.cuts = ["Invoke"]

    with pytest.raises(ActionFailed, match="nobody knows whether it was done"):
        call_function.fn("pay", job=job)

    assert len(calls) == 1
    assert not job.retryable


def test_the_next_worker_does_not_call_again(
    functions: dict[str, Function], job: Job, notes: Any
) -> None:
    calls: list[object] = []

    def die(event: object) -> None:
        calls.append(event)

    functions["pay"] = die
    notes.note_external_id(job.key, "of a worker that died")

    with pytest.raises(ActionFailed, match="a worker died"):
        call_function.fn("pay", job=job)

    assert calls == []


def test_a_stopped_action_waits_no_longer(
    functions: dict[str, Function], job: Job
) -> None:
    called, over = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        called.set()
        over.wait(60)

    functions["slow"] = wait
    failures: list[str] = []

    def run() -> None:
        with pytest.raises(ActionFailed) as failed:
            call_function.fn("slow", job=job)
        failures.append(failed.value.message)

    action = threading.Thread(target=run)
    action.start()
    called.wait(60)
    job.cancel("stopped by Ann")
    action.join()
    over.set()

    assert failures == ["stopped by Ann"]


def test_no_more_artifacts_than_codepipeline_allows(
    functions: dict[str, Function], artifact: Make, job: Job
) -> None:
    one = artifact({"a": "b"})

    with pytest.raises(ActionFailed, match="at most 5"):
        call_function.fn("f", {str(n): one for n in range(6)}, job=job)
