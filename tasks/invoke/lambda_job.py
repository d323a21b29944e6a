"""The job that a Lambda function is given, as CodePipeline gives it, and its answer."""

import base64
import json
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Final
from uuid import UUID

from botocore.config import Config  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs, Patterns
from prefect_delivery.blocks.aws_session import (
    ONCE,
    AwsSession,
    at_most_once,
    mark_begun,
    token_of,
)
from prefect_delivery.tasks.bundles import PREFIX, Bundles

# A function runs for 15 minutes at most.
PATIENT: Final = ONCE.merge(Config(read_timeout=920, tcp_keepalive=True))
INTERVAL: Final = 0.1
"""Seconds between two looks at whether the function has returned."""
PAUSE: Final = 15.0
"""Seconds after which a function that goes on is called again."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function, and what it is given."""

    function: str
    parameters: str
    inputs: Mapping[str, Artifact] = field(default_factory=dict[str, Artifact])
    outputs: Patterns = field(default_factory=dict[str, list[str]])
    timeout: float = 1440

    def check(self) -> None:
        """Count the artifacts.

        Raises:
            ActionFailed: There are more than CodePipeline allows.
        """
        if len(self.inputs) > 5 or len(self.outputs) > 5:
            raise ActionFailed("a function takes and leaves at most 5 artifacts")


def carry_out(call: Call, aws: AwsSession, bucket: str | None, job: Job) -> Outputs:
    """Call a function until it has an answer.

    Raises:
        ActionFailed: The function failed, or nobody knows whether it ran.
    """
    call.check()
    needed = bool(call.inputs or call.outputs)
    bundles = Bundles.of(aws, bucket, job) if needed else None
    token = token_of(job, "lambda")
    document = _document(call, bundles, token, aws.account)
    client = aws.client("lambda", PATIENT)
    mark_begun(job)

    def ask() -> dict[str, Any] | None:
        answer = _answer(client, call.function, document, job, call.timeout)
        if "continuationToken" not in answer:
            return answer
        document["data"]["continuationToken"] = answer["continuationToken"]
        job.log(f"{call.function} goes on")
        return None

    answer = job.poll(ask, timeout=call.timeout, interval=PAUSE)
    if failure := answer.get("failureDetails"):
        said = failure.get("message") or "no reason given"
        raise ActionFailed(f"{failure.get('type', 'JobFailed')}: {said}")
    artifacts = (
        {
            name: bundles.get(_place(token, name), patterns)
            for name, patterns in call.outputs.items()
        }
        if bundles
        else {}
    )
    return Outputs(
        artifacts=artifacts,
        variables=_variables(call.function, answer),
        summary=(answer.get("executionDetails") or {}).get("summary"),
    )


def _document(
    call: Call, bundles: Bundles | None, token: str, account: str
) -> dict[str, Any]:
    configuration = {"FunctionName": call.function, "UserParameters": call.parameters}
    return {
        "id": str(UUID(token[:32])),
        "accountId": account,
        "data": {
            "actionConfiguration": {"configuration": configuration},
            "inputArtifacts": [
                _located(name, bundles.bucket, bundles.put(artifact))
                for name, artifact in call.inputs.items()
                if bundles
            ],
            "outputArtifacts": [
                _located(name, bundles.bucket, _place(token, name))
                for name in call.outputs
                if bundles
            ],
        },
    }


def _located(name: str, bucket: str, key: str) -> dict[str, Any]:
    place = {"bucketName": bucket, "objectKey": key}
    return {
        "name": name,
        "revision": None,
        "location": {"type": "S3", "s3Location": place},
    }


def _place(token: str, name: str) -> str:
    return f"{PREFIX}/lambda/{token}/{name}.zip"


def _answer(
    client: Any, function: str, document: dict[str, Any], job: Job, timeout: float
) -> dict[str, Any]:
    """Call the function once; what it returned, `{}` for nothing."""
    future: Future[dict[str, Any]] = Future()
    payload = json.dumps({"CodePipeline.job": document}).encode()

    def invoke() -> None:
        try:
            answer = client.invoke(
                FunctionName=function, LogType="Tail", Payload=payload
            )
            future.set_result({**answer, "Payload": answer["Payload"].read()})
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    # A daemon, so that a stopped action does not wait for the function.
    Thread(target=copy_context().run, args=[invoke], daemon=True).start()
    job.poll(lambda: future.done() or None, timeout=timeout, interval=INTERVAL)
    answer = at_most_once(job, future.result)
    for line in base64.b64decode(answer.get("LogResult", "")).decode().splitlines():
        job.log(line)
    returned = _json(function, answer["Payload"])
    if answer.get("FunctionError"):
        raise ActionFailed(f"{function} failed: {_error(returned)}")
    if returned is not None and not isinstance(returned, dict):
        job.log(f"{function} returned no object; it counts as done")
        return {}
    return returned or {}


def _json(function: str, payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError as error:
        raise ActionFailed(f"{function} returned no JSON") from error


def _error(returned: Any) -> str:
    if isinstance(returned, dict) and "errorMessage" in returned:
        return f"{returned.get('errorType', 'error')}: {returned['errorMessage']}"
    return str(returned)


def _variables(function: str, answer: dict[str, Any]) -> dict[str, str]:
    found = answer.get("outputVariables") or {}
    if not isinstance(found, dict) or not all(
        isinstance(text, str) for pair in found.items() for text in pair
    ):
        raise ActionFailed(f"outputVariables of {function} are not strings")
    return found
