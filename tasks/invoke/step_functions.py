"""Run a state machine of AWS Step Functions."""

import json
from pathlib import Path
from typing import Any, Final, Literal

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    Patterns,
    action,
)
from prefect_delivery.blocks.aws_session import (
    ONCE,
    AwsSession,
    at_most_once,
    aws_session,
    code_of,
    mark_begun,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)

INTERVAL: Final = 5.0
"""Seconds between two looks at an execution."""
OUTPUT: Final = "output.json"
NAME_LIMIT: Final = 80


@action(
    "invoke/step-functions",
    permissions=(
        "states:DescribeExecution",
        "states:DescribeStateMachine",
        "states:StartExecution",
        "states:StartSyncExecution",
        "states:StopExecution",
    ),
    variables={
        "StateMachineArn": "ARN of the state machine.",
        "ExecutionArn": "ARN of its execution.",
    },
)
def run_state_machine(
    state_machine_arn: str,
    *,
    artifact: Artifact | None = None,
    execution_name_prefix: str = "",
    input_type: Literal["Literal", "FilePath"] = "Literal",
    input: str | dict[str, Any] = "{}",
    outputs: Patterns = {},
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 10_080,
    job: Job = Job(),
) -> Outputs:
    """Start an execution of a state machine; of a standard one, wait for its end.

    Each attempt has an execution of its own name, which is started once. One of an
    express state machine cannot be looked at again: it is started, at most once, and
    not waited for. When the action is stopped, so is a standard execution.

    Args:
        state_machine_arn: ARN of the state machine, a version or an alias of it.
        artifact: Where the file with the input is, when `input_type` is `FilePath`.
        execution_name_prefix: What the names of executions begin with.
        input_type: Whether `input` is the input or names a file.
        input: JSON, or the path of a file of JSON in the artifact.
        outputs: At most one artifact: the file `output.json` with the output.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the state machine.
        timeout: Minutes until the execution is stopped.

    Raises:
        ActionFailed: The execution failed, timed out or was aborted; says its error.

    Source: CodePipeline user guide, "AWS Step Functions invoke action reference".
    """
    if len(outputs) > 1:
        raise ActionFailed("a state machine leaves at most one artifact")
    if input_type == "FilePath" and artifact is None:
        raise ActionFailed("input_type 'FilePath' needs an input artifact")
    given = _from_file(artifact, input, job) if input_type == "FilePath" else input
    text = given if isinstance(given, str) else json.dumps(given)
    with aws_session(credentials, role_arn, region) as aws:
        client = aws.client("stepfunctions")
        machine = client.describe_state_machine(stateMachineArn=state_machine_arn)
        asked = {
            "stateMachineArn": state_machine_arn,
            "name": _name(execution_name_prefix, job),
            "input": text,
        }
        if machine.get("type") == "EXPRESS":
            if outputs:
                raise ActionFailed("an express state machine leaves no artifact")
            arn = _express(aws, asked, job)
            return Outputs(variables=_variables(state_machine_arn, arn))
        arn = start_or_attach(job, lambda: _started(client, asked))
        job.log(f"execution {arn}")
        why = {"executionArn": arn, "cause": f"{job.name} was stopped"}
        stop_with(job, lambda: client.stop_execution(**why), f"execution {arn}")
        probe = patient(job, lambda: _ended(client, arn))
        found = job.poll(probe, timeout=timeout, interval=INTERVAL)
        if found["status"] != "SUCCEEDED":
            raise ActionFailed(
                job.reason if job.cancelled.is_set() else _failure(found)
            )
        return Outputs(
            artifacts={
                name: _kept(found.get("output", "{}"), patterns, job)
                for name, patterns in outputs.items()
            },
            variables=_variables(state_machine_arn, arn),
        )


def _started(client: Any, asked: dict[str, str]) -> str:
    """Start an execution, or find that of this name: a name is given only once."""
    try:
        return str(client.start_execution(**asked)["executionArn"])
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise
    # arn:aws:states:REGION:ACCOUNT:stateMachine:NAME[:VERSION or ALIAS]
    parts = asked["stateMachineArn"].split(":")
    return ":".join([*parts[:5], "execution", parts[6], asked["name"]])


def _express(aws: AwsSession, asked: dict[str, str], job: Job) -> str:
    client = aws.client("stepfunctions", ONCE)
    mark_begun(job)
    started = at_most_once(job, lambda: client.start_execution(**asked))
    return str(started["executionArn"])


def _ended(client: Any, arn: str) -> dict[str, Any] | None:
    found: dict[str, Any] = client.describe_execution(executionArn=arn)
    return None if found["status"] in {"RUNNING", "PENDING_REDRIVE"} else found


def _failure(found: dict[str, Any]) -> str:
    said = ": ".join(found[key] for key in ("error", "cause") if found.get(key))
    return f"execution {found['status']}" + (f": {said}" if said else "")


def _variables(machine: str, execution: str) -> dict[str, str]:
    return {"StateMachineArn": machine, "ExecutionArn": execution}


def _name(prefix: str, job: Job) -> str:
    token = token_of(job, "step-functions")
    return f"{prefix}-{token}"[:NAME_LIMIT] if prefix else token


def _from_file(artifact: Artifact | None, path: object, job: Job) -> str:
    assert artifact is not None  # noqa: S101 - checked before
    with job.workspace() as folder:
        artifact.unpack(folder / "tree")
        root = (folder / "tree").resolve()
        file = (root / str(path)).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            raise ActionFailed(f"the artifact has no file '{path}'")
        return file.read_text(encoding="utf-8")


def _kept(text: str, patterns: list[str], job: Job) -> Artifact:
    with job.workspace() as folder:
        Path(folder, OUTPUT).write_text(text, encoding="utf-8")
        return Artifact.of(folder, patterns)
