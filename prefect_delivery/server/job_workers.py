"""Where job workers get the jobs of custom actions: CodePipeline's own protocol.

Source: the service model of CodePipeline (JSON 1.1), and its API reference: PollForJobs,
AcknowledgeJob, GetJobDetails, PutJobSuccessResult, PutJobFailureResult.
"""

import json
import logging
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import anyio
from anyio.to_thread import run_sync
from botocore.loaders import Loader  # type: ignore[import-untyped]  # no py.typed
from botocore.model import ServiceModel  # type: ignore[import-untyped]  # no py.typed
from botocore.validate import ParamValidator  # type: ignore[import-untyped]  # no py.typed
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from prefect_delivery.errors import ActionFailed, LedgerError
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.jobs import ActionType, JobStatus, WorkerJob
from prefect_delivery.server.connections import Configuration, Secrets
from prefect_delivery.server.limits import Limits
from prefect_delivery.server.signatures import Signature

PATH: Final = "/delivery/codepipeline"
SERVICE: Final = "codepipeline"
TARGET: Final = "CodePipeline_20150709."
LARGEST: Final = 1 << 20
"""Bytes of a request."""
READ_WITHIN: Final = 10.0
"""Seconds that a request may take to come."""
VARIABLES: Final = 122_880
"""Bytes that the output variables of one action may have."""
_LOG = logging.getLogger("prefect_delivery.server")

Data = dict[str, Any]


class _Refusal(Exception):
    """An answer that a client of AWS knows as an error of this name."""

    def __init__(self, name: str, said: str, status: int = 400) -> None:
        super().__init__(said)
        self.name, self.said, self.status = name, said, status


class JobWorkersServer:
    """The endpoint that job workers poll."""

    def __init__(self, configuration: Configuration, ledger: Ledger) -> None:
        self._workers = configuration.workers
        self._jobs = ledger.jobs
        self._secrets = Secrets()
        self._limits = Limits(
            each_minute=configuration.each_minute, burst=configuration.burst
        )
        self._operations: dict[str, Callable[[str, Data], Data]] = {
            "PollForJobs": self._poll,
            "AcknowledgeJob": self._acknowledge,
            "GetJobDetails": self._details,
            "PutJobSuccessResult": self._succeed,
            "PutJobFailureResult": self._fail,
        }

    def routes(self) -> list[Route]:
        """With and without the slash that clients add to their endpoint."""
        return [
            Route(path, self._answer, methods=["POST"]) for path in (PATH, f"{PATH}/")
        ]

    async def _answer(self, request: Request) -> Response:
        try:
            sender = request.client.host if request.client else ""
            if self._limits.pause(sender):
                raise _Refusal("ThrottlingException", "Rate exceeded")
            body = await _body(request)
            found = await run_sync(self._carried_out, request, body)
        except _Refusal as refusal:
            error = {"__type": refusal.name, "message": refusal.said}
            return _json(error, refusal.status)
        except (TimeoutError, ClientDisconnect):
            return _json({"__type": "RequestTimeoutException"}, 408)
        except LedgerError:
            return _json({"__type": "InternalFailure"}, 503)
        return _json(found, 200)

    def _carried_out(self, request: Request, body: bytes) -> Data:
        worker = self._worker(request, body)
        name = request.headers.get("x-amz-target", "").removeprefix(TARGET)
        operation = self._operations.get(name)
        if operation is None:
            raise _Refusal("UnknownOperationException", "only job workers are served")
        return operation(worker, _asked(name, body))

    def _worker(self, request: Request, body: bytes) -> str:
        """The worker that has signed a request."""
        signature = Signature(request.method, str(request.url), request.headers)
        for name, worker in self._workers.items():
            if worker.access_key != signature.access_key:
                continue
            for secret in self._secrets.values(worker.secrets):
                if signature.is_of(secret.decode(), body, service=SERVICE):
                    return name
            raise _Refusal(
                "InvalidSignatureException",
                "The signature does not match, or the clock is wrong",
                403,
            )
        raise _Refusal("UnrecognizedClientException", "The access key is unknown", 403)

    def _poll(self, worker: str, asked: Data) -> Data:
        kind = asked["actionTypeId"]
        type_ = ActionType(
            category=kind["category"],
            provider=kind["provider"],
            version=kind["version"],
        )
        if kind["owner"] != "Custom":
            raise _Refusal("ActionTypeNotFoundException", "the owner must be Custom")
        if not self._workers[worker].may_do(type_):
            raise _Refusal("AccessDeniedException", f"not for worker {worker}", 403)
        found = self._jobs.poll(
            type_,
            most=asked.get("maxBatchSize", 1),
            query=asked.get("queryParam", {}),
        )
        return {"jobs": [{**_job(each), "nonce": each.nonce} for each in found]}

    def _acknowledge(self, worker: str, asked: Data) -> Data:
        job = self._job(worker, asked["jobId"])
        status = self._jobs.acknowledge(job.id, asked["nonce"], worker=worker)
        if status is None:
            raise _Refusal("InvalidNonceException", "the job was given out again")
        return {"status": status}

    def _details(self, worker: str, asked: Data) -> Data:
        job = self._job(worker, asked["jobId"])
        if job.status is JobStatus.IN_PROGRESS:
            self._jobs.hear(job.id)
        return {"jobDetails": _job(job)}

    def _succeed(self, worker: str, asked: Data) -> Data:
        job = self._job(worker, asked.pop("jobId"))
        variables = asked.get("outputVariables", {})
        if sum(len(f"{key}{value}".encode()) for key, value in variables.items()) > (
            VARIABLES
        ):
            raise _Refusal("OutputVariablesSizeExceededException", "too many bytes")
        if "continuationToken" in asked:
            if variables:
                raise _Refusal("ValidationException", "a job goes on without variables")
            done = self._jobs.go_on(job.id, asked)
        else:
            end = JobStatus.SUCCEEDED
            done = self._jobs.end(job.id, end, result=asked, by=worker)
        return _done(job, done)

    def _fail(self, worker: str, asked: Data) -> Data:
        job = self._job(worker, asked.pop("jobId"))
        end = JobStatus.FAILED
        return _done(job, self._jobs.end(job.id, end, result=asked, by=worker))

    def _job(self, worker: str, id: str) -> WorkerJob:
        job = self._jobs.find(id)
        # What a worker may not do it may not learn of either.
        if job is None or not self._workers[worker].may_do(job.type):
            raise _Refusal("JobNotFoundException", f"there is no job {id}")
        return job


def _done(job: WorkerJob, done: bool) -> Data:
    if not done:
        raise _Refusal("InvalidJobStateException", f"no worker has job {job.id} now")
    return {}


def _job(job: WorkerJob) -> Data:
    """A job as a worker is told of it."""
    # Clients of AWS take seconds to import, and most servers have no job workers.
    from prefect_delivery.blocks.job_credentials import artifact_credentials

    data = dict(job.data)
    try:
        credentials = artifact_credentials(job.access)
    except ActionFailed as error:
        _LOG.warning("job %s goes without credentials: %s", job.id, error.message)
        credentials = None
    if credentials:
        data["artifactCredentials"] = credentials
    return {"id": job.id, "accountId": job.access["account"], "data": data}


def _asked(operation: str, body: bytes) -> Data:
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise _Refusal("SerializationException", "the body is no JSON") from error
    shape = _model().operation_model(operation).input_shape
    report = ParamValidator().validate(asked, shape)
    if report.has_errors():
        raise _Refusal("ValidationException", report.generate_report()[:1000])
    found: Data = asked
    return found


@cache
def _model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model(SERVICE, "service-2"), SERVICE)


async def _body(request: Request) -> bytes:
    body = bytearray()
    with anyio.fail_after(READ_WITHIN):
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                raise _Refusal("ValidationException", "the body is too long", 413)
    return bytes(body)


def _json(data: Data, status: int) -> Response:
    return Response(json.dumps(data), status, media_type="application/x-amz-json-1.1")
