"""State machines, which moto interprets for real, and pipelines of CodePipeline."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws import Refusal, Wire, json_service
from polling import until

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.invoke import step_functions
from prefect_delivery.tasks.invoke.codepipeline import start_pipeline
from prefect_delivery.tasks.invoke.step_functions import run_state_machine

Make = Callable[[dict[str, str]], Artifact]
Clients = Callable[[str], Any]
ROLE = "arn:aws:iam::123456789012:role/machine"
ECHO = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
FAIL = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "c"}}}
WAIT = {
    "StartAt": "A",
    "States": {"A": {"Type": "Wait", "Seconds": 100, "End": True}},
}


@pytest.fixture
def machine(
    cloud: None, client: Clients, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Makes a state machine."""
    monkeypatch.setattr(step_functions, "INTERVAL", 0.05)

    def make(definition: dict[str, Any], kind: str = "STANDARD") -> str:
        made = client("stepfunctions").create_state_machine(
            name="m", definition=json.dumps(definition), roleArn=ROLE, type=kind
        )
        return str(made["stateMachineArn"])

    return make


def executions(client: Clients, machine: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client("stepfunctions").list_executions(
        stateMachineArn=machine
    )["executions"]
    return found


def test_the_output_of_an_execution_is_an_artifact(
    machine: Callable[..., str], artifact: Make, job: Job, tmp_path: Path
) -> None:
    arn = machine(ECHO)

    made = run_state_machine.fn(
        arn,
        artifact=artifact({"in/order.json": '{"n": 1}'}),
        execution_name_prefix="shop",
        input_type="FilePath",
        input="in/order.json",
        outputs={"result": ["**"]},
        job=job,
    )

    made.artifacts["result"].unpack(tmp_path / "out")
    assert json.loads((tmp_path / "out/output.json").read_text()) == {"n": 1}
    assert made.variables["StateMachineArn"] == arn
    assert ":execution:m:shop-" in made.variables["ExecutionArn"]


def test_a_failed_execution_says_error_and_cause(
    machine: Callable[..., str], job: Job
) -> None:
    with pytest.raises(ActionFailed, match="execution FAILED: E: c"):
        run_state_machine.fn(machine(FAIL), job=job)


def test_a_lost_answer_starts_no_second_execution(
    machine: Callable[..., str], job: Job, wire: Wire, client: Clients
) -> None:
    arn = machine(ECHO)
    wire.cuts = ["StartExecution"] * 5

    run_state_machine.fn(arn, input='{"n": 1}', job=job)

    assert len(executions(client, arn)) == 1
    assert wire.times("StartExecution") == 6


def test_the_next_worker_goes_on_with_the_execution(
    machine: Callable[..., str], job: Job, notes: Any, client: Clients
) -> None:
    arn = machine(WAIT)
    worker = os.fork()
    if worker == 0:
        run_state_machine.fn(arn, job=job)
        os._exit(0)
    until(lambda: bool(executions(client, arn)))
    os.kill(worker, 9)
    os.waitpid(worker, 0)
    (only,) = executions(client, arn)
    client("stepfunctions").stop_execution(executionArn=only["executionArn"])

    with pytest.raises(ActionFailed, match="ABORTED"):
        run_state_machine.fn(arn, job=job)

    assert len(executions(client, arn)) == 1


def test_a_stopped_action_stops_its_execution_whatever_answer_is_lost(
    machine: Callable[..., str], job: Job, client: Clients, wire: Wire
) -> None:
    arn = machine(WAIT)
    wire.each = True
    failures: list[str] = []

    def run() -> None:
        with pytest.raises(ActionFailed) as failed:
            run_state_machine.fn(arn, job=job)
        failures.append(failed.value.message)

    action = threading.Thread(target=run)
    action.start()
    until(lambda: bool(executions(client, arn)))
    job.cancel("stopped by Ann")
    action.join()

    assert failures == ["stopped by Ann"]
    assert [each["status"] for each in executions(client, arn)] == ["ABORTED"]
    assert {"StartExecution", "StopExecution"} <= wire.lost


def test_an_express_execution_is_started_once_and_not_waited_for(
    machine: Callable[..., str], job: Job, wire: Wire, client: Clients
) -> None:
    arn = machine(ECHO, "EXPRESS")
    wire.cuts = ["StartExecution"]

    with pytest.raises(ActionFailed, match="nobody knows whether it was done"):
        run_state_machine.fn(arn, job=job)

    assert wire.times("StartExecution") == 1
    job.key = "another"
    made = run_state_machine.fn(arn, job=job)
    assert made.variables["StateMachineArn"] == arn


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"input_type": "FilePath", "input": "x"}, "needs an input artifact"),
        ({"outputs": {"a": ["**"], "b": ["**"]}}, "at most one artifact"),
        ({"state_machine_arn": "arn:x"}, "DescribeStateMachine is refused"),
    ],
)
def test_what_cannot_be_started(
    machine: Callable[..., str], job: Job, more: dict[str, Any], said: str
) -> None:
    asked = {"state_machine_arn": machine(ECHO), **more}

    with pytest.raises(ActionFailed, match=said):
        run_state_machine.fn(**asked, job=job)


def test_a_path_does_not_lead_out_of_the_artifact(
    machine: Callable[..., str], artifact: Make, job: Job
) -> None:
    with pytest.raises(ActionFailed, match="the artifact has no file"):
        run_state_machine.fn(
            machine(ECHO),
            artifact=artifact({"a": "b"}),
            input_type="FilePath",
            input="../../holder",
            job=job,
        )


@pytest.fixture
def pipelines(
    cloud: None, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, dict[str, Any]]]:
    """What a double of CodePipeline was asked to start, by token; moto cannot."""
    started: dict[str, dict[str, Any]] = {}

    def start(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["name"] != "shop":
            raise Refusal("PipelineNotFoundException", f"no pipeline {asked['name']}")
        started.setdefault(asked["clientRequestToken"], asked)
        number = list(started).index(asked["clientRequestToken"]) + 1
        return {"pipelineExecutionId": f"execution-{number}"}

    doubled = json_service("codepipeline", {"StartPipelineExecution": start})
    with doubled as backend, wire.to(backend) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODEPIPELINE", address)
        yield started


def test_a_pipeline_is_started_once(
    pipelines: dict[str, dict[str, Any]], job: Job, wire: Wire
) -> None:
    wire.cuts = ["StartPipelineExecution"] * 5

    made = start_pipeline.fn(
        "shop",
        source_revisions='[{"actionName": "s", "revisionType": "COMMIT_ID", '
        '"revisionValue": "abc"}]',
        variables=[{"name": "where", "value": "eu"}],
        job=job,
    )

    assert made.variables == {"PipelineExecutionId": "execution-1"}
    (asked,) = pipelines.values()
    assert asked["sourceRevisions"][0]["revisionValue"] == "abc"
    assert asked["variables"] == [{"name": "where", "value": "eu"}]


def test_a_pipeline_that_cannot_be_started(
    pipelines: dict[str, dict[str, Any]], job: Job
) -> None:
    with pytest.raises(ActionFailed, match="PipelineNotFoundException"):
        start_pipeline.fn("x", job=job)
    with pytest.raises(ActionFailed, match="variables"):
        start_pipeline.fn("shop", variables="{", job=job)
