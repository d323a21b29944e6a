"""Run a flow that is deployed on the Prefect server."""

from typing import Any, Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import Cancelling

from prefect_delivery.actions import ActionFailed, Job, Minutes, Outputs, action
from prefect_delivery.blocks.prefect_server import prefect_server

INTERVAL: Final = 0.5
"""Seconds between two looks at a run."""


@action(
    "invoke/prefect-deployment",
    variables={
        "flow_run": "id of the flow run",
        "version": "version of the deployment that was run",
    },
)
def run_deployment(
    deployment: str,
    *,
    parameters: dict[str, Any] = {},
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Run a deployment once and wait until it has completed.

    A second attempt waits for the run of the first. When the action is stopped, the run
    is cancelled.

    Args:
        deployment: Its full name, such as `orders/staging`.
        parameters: Parameters of the run, beside those of the deployment.
        timeout: Minutes until the run is cancelled.

    Raises:
        ActionFailed: There is no such deployment, it does not take the parameters, or
            the run ended in any state but Completed; says which.
    """
    with prefect_server() as client:
        found = _read(client, deployment)
        if unserved := _unserved(client, found):
            job.log(unserved)
        run = UUID(job.start_or_attach(lambda: _start(client, found, parameters, job)))
        link = _link(run)
        job.log(f"run {link or run}")
        job.on_stop(lambda: _cancel(client, run, job))
        state = job.poll(
            lambda: _final(client, run, job), timeout=timeout, interval=INTERVAL
        )
        if job.cancelled.is_set():
            raise ActionFailed(job.reason, hint=f"see {link}" if link else None)
        if not state.is_completed():
            said = f": {state.message}" if state.message else ""
            raise ActionFailed(
                f"{deployment} ended {state.name}{said}",
                hint=f"see {link}" if link else None,
            )
    return Outputs(
        variables={"flow_run": str(run), "version": found.version or ""},
        summary=f"{deployment} {found.version or ''}".rstrip() + " completed",
        link=link,
    )


def _read(client: SyncPrefectClient, deployment: str) -> DeploymentResponse:
    try:
        return client.read_deployment_by_name(deployment)
    except (ObjectNotFound, ValueError) as error:
        raise ActionFailed(
            f"there is no deployment '{deployment}'", hint="prefect deployment ls"
        ) from error


def _unserved(client: SyncPrefectClient, found: DeploymentResponse) -> str | None:
    """What a person should know when nobody will carry out the run."""
    if found.paused:
        return f"deployment '{found.name}' is paused"
    if not (pool := found.work_pool_name):
        return None
    workers = client.read_workers_for_work_pool(pool)
    if any(worker.status == WorkerStatus.ONLINE for worker in workers):
        return None
    return f"no worker serves the pool '{pool}': the run waits until one is started"


def _start(
    client: SyncPrefectClient,
    found: DeploymentResponse,
    parameters: dict[str, Any],
    job: Job,
) -> str:
    try:
        made = client.create_flow_run_from_deployment(
            found.id, parameters=parameters, idempotency_key=job.key or None
        )
    except httpx.HTTPStatusError as error:
        if error.response.is_server_error:
            raise httpx.TransportError(str(error)) from error
        raise ActionFailed(
            f"'{found.name}' does not take the parameters: {error.response.text}"
        ) from error
    return str(made.id)


def _final(client: SyncPrefectClient, run: UUID, job: Job) -> State[Any] | None:
    """The state in which the run has ended, if it has."""
    try:
        state = client.read_flow_run(run).state
    except httpx.HTTPError as error:
        job.log(f"no answer, asking again: {str(error) or repr(error)}")
        return None
    except ObjectNotFound as error:
        raise ActionFailed(f"somebody has deleted run {run}") from error
    return state if state and state.is_final() else None


def _cancel(client: SyncPrefectClient, run: UUID, job: Job) -> None:
    try:
        client.set_flow_run_state(run, Cancelling())
    except (httpx.HTTPError, ObjectNotFound) as error:
        job.log(f"run {run} could not be cancelled and may go on: {error}")


def _link(run: UUID) -> str | None:
    address = get_current_settings().ui_url
    return f"{address}/runs/flow-run/{run}" if address else None
