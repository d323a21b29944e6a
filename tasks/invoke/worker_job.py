"""An action that somebody's own job worker carries out, as CodePipeline has it do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs, Patterns
from prefect_delivery.blocks.aws_session import aws_session, token_of
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.jobs import ActionType, JobStatus, WorkerJob
from prefect_delivery.tasks.bundles import PREFIX, Bundles

INTERVAL: Final = 1.0
"""Seconds between two looks at a job."""
ACCOUNT: Final = "000000000000"
"""Said where no artifact goes through AWS, so that nobody has an account."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a job worker is to do, and how long that may take.

    Attributes:
        artifact_role: Role whose credentials, limited to the job's artifacts, a worker
            is given.
        job_timeout: Minutes that a worker may be silent.
        timeout: Minutes for all of it.
    """

    type: ActionType
    configuration: Mapping[str, str]
    inputs: Mapping[str, Artifact]
    outputs: Patterns
    bucket: str | None
    credentials: str | None
    role_arn: str | None
    artifact_role: str | None
    region: str | None
    job_timeout: float
    timeout: float


def carry_out(order: Order, job: Job) -> Outputs:
    """Offer the job, and wait until a worker has ended it.

    Raises:
        ActionFailed: The worker says so, was silent for too long, or none came.
    """
    with _bundles(order, job) as bundles, Ledger.open() as ledger:
        token = token_of(job, "job")
        job_id = str(UUID(token[:32]))
        data = _data(order, bundles, token, job)
        access = _access(order, bundles, data)
        ledger.jobs.offer(job_id, order.type, data=data, access=access)
        job.log(f"job {job_id} waits for a worker")
        job.on_stop(lambda: _give_up(ledger, job_id, job))
        found = job.poll(
            lambda: _ended(ledger, job_id, order, job),
            timeout=order.timeout,
            interval=INTERVAL,
        )
        return _outputs(found, order, bundles, token, job)


@contextmanager
def _bundles(order: Order, job: Job) -> Iterator[Bundles | None]:
    if not (order.inputs or order.outputs):
        yield None
        return
    with aws_session(order.credentials, order.role_arn, order.region) as aws:
        yield Bundles.of(aws, order.bucket, job)


def _data(
    order: Order, bundles: Bundles | None, token: str, job: Job
) -> dict[str, Any]:
    """What CodePipeline tells a job worker, but for credentials."""
    stage, _, name = job.name.partition(" / ")
    kind = order.type
    return {
        "actionTypeId": {
            "category": kind.category,
            "owner": "Custom",
            "provider": kind.provider,
            "version": kind.version,
        },
        "actionConfiguration": {"configuration": dict(order.configuration)},
        "pipelineContext": {
            "pipelineName": job.pipeline,
            "stage": {"name": stage},
            "action": {"name": name, "actionExecutionId": str(UUID(token[32:]))},
            "pipelineExecutionId": job.execution,
        },
        "inputArtifacts": [
            _located(name, bundles.bucket, bundles.put(artifact))
            for name, artifact in order.inputs.items()
            if bundles
        ],
        "outputArtifacts": [
            _located(name, bundles.bucket, _place(token, name))
            for name in order.outputs
            if bundles
        ],
    }


def _located(name: str, bucket: str, key: str) -> dict[str, Any]:
    place = {"bucketName": bucket, "objectKey": key}
    return {"name": name, "location": {"type": "S3", "s3Location": place}}


def _place(token: str, name: str) -> str:
    return f"{PREFIX}/jobs/{token}/{name}.zip"


def _access(
    order: Order, bundles: Bundles | None, data: Mapping[str, Any]
) -> dict[str, Any]:
    """By whom a worker may read and write which objects."""
    if bundles is None:
        return {"account": ACCOUNT}
    return {
        "account": bundles.aws.account,
        "credentials": order.credentials,
        "role_arn": order.role_arn,
        "artifact_role": order.artifact_role,
        "region": order.region,
        "reads": _objects(data["inputArtifacts"]),
        "writes": _objects(data["outputArtifacts"]),
    }


def _objects(artifacts: list[dict[str, Any]]) -> list[str]:
    places = [each["location"]["s3Location"] for each in artifacts]
    return [f"{place['bucketName']}/{place['objectKey']}" for place in places]


def _give_up(ledger: Ledger, job_id: str, job: Job) -> None:
    if ledger.jobs.end(job_id, JobStatus.FAILED, by=job.name):
        job.log(f"job {job_id} is given up; its worker is not told")


def _ended(ledger: Ledger, job_id: str, order: Order, job: Job) -> WorkerJob | None:
    found = ledger.jobs.find(job_id)
    if found is None:
        raise ActionFailed(f"job {job_id} was removed from the ledger")
    silent = order.job_timeout * 60
    if found.status is JobStatus.IN_PROGRESS and found.silent > silent:
        end = JobStatus.TIMED_OUT
        if ledger.jobs.end(job_id, end, by=job.name, silent=silent):
            raise ActionFailed(
                f"nothing was heard of job worker {found.worker} for "
                f"{order.job_timeout:g} min"
            )
    return found if found.status.ended else None


def _outputs(
    found: WorkerJob, order: Order, bundles: Bundles | None, token: str, job: Job
) -> Outputs:
    result = found.result or {}
    if found.status is not JobStatus.SUCCEEDED:
        failure = result.get("failureDetails")
        if failure is None:
            raise ActionFailed(job.reason)
        raise ActionFailed(f"{failure['type']}: {failure['message']}")
    details = result.get("executionDetails", {})
    revision = result.get("currentRevision", {}).get("revision")
    return Outputs(
        artifacts={
            name: bundles.get(_place(token, name), patterns or None)
            for name, patterns in order.outputs.items()
            if bundles
        },
        variables={
            **result.get("outputVariables", {}),
            **({"commit": revision} if revision else {}),
        },
        summary=details.get("summary"),
    )
