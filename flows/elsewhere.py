"""Have an action carried out by a work pool, and follow it until it has ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import FlowRun
from prefect.client.schemas.objects import StateType, WorkerStatus, WorkPoolStatus
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running

from prefect_delivery.actions import ActionFailed, Job, Outputs
from prefect_delivery.engine.resolve import Call
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.remote import RemoteAction
from prefect_delivery.remote import (
    COMMAND,
    ERRAND,
    OUTCOME,
    SERVER,
    TICKET,
    Errand,
    Outcome,
)
from prefect_delivery.settings import settings

FLOW: Final = "run_action"
LOOK: Final = 0.5
"""Seconds between two looks into the ledger."""
ASK: Final = 2.0
"""Seconds between two questions to Prefect's server."""
SILENT: Final = 90.0
"""Seconds without a sign of life after which an action is given up."""
LEAVE: Final = 45.0
"""Seconds that an action has to end by itself once it was told to."""
KEPT_OUT: Final = (
    *("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"),
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_SERVER_API_AUTH_STRING",
    *("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_PASSWORD"),
)
"""Variables that workers hand to their runs, and that open Prefect's server."""


@task(name="run_elsewhere", cache_policy=NO_CACHE, persist_result=False)
def run_elsewhere(pool: str, call: Call, job: Job) -> Outputs:
    """Carry out an action through a work pool.

    Args:
        pool: The work pool. Its job variables say in what the action runs.

    Raises:
        ActionFailed: The action failed, or its infrastructure did.
    """
    if PREFECT_API_URL.value() is None:
        raise ActionFailed(
            f"an action that runs on the work pool '{pool}' needs a Prefect server",
            hint="run the pipeline without --local",
        )
    errand = Errand(
        key=job.key,
        name=job.name,
        pipeline=job.pipeline,
        execution=job.execution,
        call=call,
    )
    with Ledger.open() as ledger, get_client(sync_client=True) as client:
        return _Remote(pool, errand, job, ledger, client).outcome()


@dataclass
class _Remote:
    pool: str
    errand: Errand
    job: Job
    ledger: Ledger
    client: SyncPrefectClient
    _asked: float = -ASK
    _said: str | None = None
    _running: bool = False
    _cancelled: float | None = None
    _flow_run: UUID = field(init=False)

    def outcome(self) -> Outputs:
        self._flow_run = UUID(
            self.job.start_or_attach(
                self._start, unsure=(OSError, httpx.TransportError)
            )
        )
        while True:
            stands = self.ledger.remote.find(self.errand.key)
            self._pass_on_lines()
            if stands is None:
                raise ActionFailed("the ledger knows nothing of the action any more")
            if stands.outcome is not None:
                return self._ended(OUTCOME.validate_json(stands.outcome))
            if self.job.cancelled.is_set():
                self._cancel(stands)
            if time.monotonic() - self._asked >= ASK:
                self._asked = time.monotonic()
                self._look(stands)
            if not self.job.cancelled.wait(LOOK):
                continue
            # What is set stays set: without this we would not pause any more.
            time.sleep(LOOK)

    def _start(self) -> str:
        """Ask Prefect for a run; for the same one, when it was asked before."""
        call = ERRAND.dump_json(self.errand).decode()
        ticket = self.ledger.remote.offer(self.errand.key, call)
        environment: dict[str, str | None] = {
            **dict.fromkeys(KEPT_OUT),
            SERVER: settings().server_url,
            TICKET: ticket,
        }
        with self._explained():
            run = self.client.create_flow_run_from_deployment(
                deployment_of(self.client, self.pool),
                parameters={"action": self.errand.name, "uses": self.errand.call.uses},
                name=f"{self.errand.pipeline} / {self.errand.name}",
                idempotency_key=self.errand.key,
                parent_task_run_id=self._parent(),
                job_variables={"command": COMMAND, "env": environment},
            )
        self.job.log(f"runs on the work pool '{self.pool}' as '{run.name}'")
        return str(run.id)

    def _parent(self) -> UUID | None:
        """The task run that we are in, which Prefect's server may not know of yet."""
        context = TaskRunContext.get()
        if context is None:
            return None
        run = context.task_run
        self.client.create_task_run(
            context.task,
            flow_run_id=run.flow_run_id,
            dynamic_key=run.dynamic_key,
            id=run.id,
            name=run.name,
            state=run.state,
        )
        return run.id

    def _look(self, stands: RemoteAction) -> None:
        """Look at what Prefect and the workers do.

        Raises:
            ActionFailed: The infrastructure has ended without an outcome.
        """
        try:
            run = self.client.read_flow_run(self._flow_run)
            if stands.taken:
                self._begin(run)
            elif run.state and run.state.type is StateType.SCHEDULED:
                self._tell(why_nothing_starts(self.client, self.pool))
        except ObjectNotFound:
            raise ActionFailed("its flow run was deleted in Prefect") from None
        except (httpx.HTTPError, PrefectException):
            return  # the action goes on without Prefect's server
        if run.state and run.state.type is StateType.CANCELLING:
            self._cancelled_there()
        elif run.state and run.state.is_final():
            self._no_outcome(run)
        elif stands.taken and stands.silent > SILENT:
            said = f"nothing was heard of it for {SILENT:g} seconds"
            self.ledger.remote.cancel(self.errand.key, said)
            self._set(Crashed(message=said))
            raise ActionFailed(said)

    def _begin(self, run: FlowRun) -> None:
        if not self._running:
            self._running = True
            self._tell(None)
            if run.state and not run.state.is_final():
                self._set(Running())

    def _no_outcome(self, run: FlowRun) -> None:
        # It may have left one between our look at the ledger and that at Prefect.
        stands = self.ledger.remote.find(self.errand.key)
        if stands and stands.outcome is None:
            if run.state and run.state.is_cancelled():
                self._cancelled_there()
            if self.job.cancelled.is_set():
                raise ActionFailed(self.job.reason)
            reason = run.state.message if run.state else ""
            self.ledger.remote.cancel(self.errand.key, "its flow run has ended")
            raise ActionFailed(f"its infrastructure ended: {reason or run.state_name}")

    def _cancelled_there(self) -> None:
        """Somebody has cancelled it in Prefect, and wants no other attempt."""
        if not self.job.cancelled.is_set():
            self.job.cancel("its flow run was cancelled in Prefect")
            self.job.retryable = False

    def _cancel(self, stands: RemoteAction) -> None:
        """Have the action end, and its infrastructure with it.

        Raises:
            ActionFailed: It has not begun yet, or does not end by itself.
        """
        if self._cancelled is None:
            owner = self.ledger.executions.owner(self.errand.execution)
            if owner and owner.holder != this_holder():
                # Another process follows it now.
                raise ActionFailed(self.job.reason)
            self._cancelled = time.monotonic()
            self.ledger.remote.cancel(self.errand.key, self.job.reason)
            self._set(Cancelling(message=self.job.reason))
        if stands.taken and time.monotonic() - self._cancelled < LEAVE:
            return
        self._set(Cancelled(message=self.job.reason))
        raise ActionFailed(self.job.reason)

    def _ended(self, outcome: Outcome) -> Outputs:
        if self.job.cancelled.is_set():
            self._set(Cancelled(message=self.job.reason))
            raise ActionFailed(self.job.reason)
        self.job.retryable = self.job.retryable and outcome.retryable
        if outcome.outputs.waiting or outcome.outputs.again:
            self._set(Failed(message="it wants to wait"))
            raise ActionFailed(
                "an action that runs elsewhere cannot wait to be asked again",
                hint="leave out its 'runs_on'",
            )
        if outcome.error is None:
            self._set(Completed(message=outcome.outputs.summary))
        else:
            self._set(Failed(message=outcome.error))
        return outcome.result()

    def _pass_on_lines(self) -> None:
        lines = self.ledger.remote.lines(self.errand.key)
        for _, line in lines:
            self.job.log(line)
        if lines:
            self.ledger.remote.passed_on(self.errand.key, lines[-1][0])

    def _tell(self, waits: str | None) -> None:
        """Say what is waited for, once, in the log and where executions are shown."""
        if waits != self._said:
            self._said = waits
            self.ledger.remote.tell(self.errand.key, waits)
            if waits:
                self.job.log(f"waits: {waits}")

    def _set(self, state: Any) -> None:
        """Let Prefect show how the action stands; only a view, so it may fail."""
        try:
            self.client.set_flow_run_state(self._flow_run, state, force=True)
        except (httpx.HTTPError, PrefectException) as error:
            self.job.log(f"Prefect was not told '{state.name}': {error}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPStatusError, PrefectException) as error:
            raise ActionFailed(
                f"Prefect does not start it on the work pool '{self.pool}': {error}"
            ) from error


def deployment_of(client: SyncPrefectClient, pool: str) -> UUID:
    """The deployment that carries out actions on a pool; made when it is missing.

    What a person has changed in it stays: its job variables are those of all actions
    on the pool.

    Raises:
        ActionFailed: There is no such work pool.
    """
    try:
        return client.read_deployment_by_name(f"{FLOW}/{pool}").id
    except ObjectNotFound:
        pass
    try:
        client.read_work_pool(pool)
    except ObjectNotFound:
        raise ActionFailed(
            f"Prefect has no work pool '{pool}'",
            hint=f"prefect work-pool create {pool} --type docker",
        ) from None
    return client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=pool,
        description="Carries out actions of pipelines; started by them alone.",
        entrypoint="prefect_delivery.flows.run_action",
        tags=["delivery"],
        work_pool_name=pool,
        parameter_openapi_schema={"type": "object", "properties": {}},
        path=None,
        pull_steps=[],
    )


def why_nothing_starts(client: SyncPrefectClient, pool: str) -> str | None:
    """Why no run of a pool begins now; None when one should."""
    found = client.read_work_pool(pool)
    if found.is_paused or found.status is WorkPoolStatus.PAUSED:
        return f"the work pool '{pool}' is paused"
    if found.is_push_pool or found.is_managed_pool:
        return None
    workers = client.read_workers_for_work_pool(pool)
    if not any(worker.status == WorkerStatus.ONLINE for worker in workers):
        return f"no worker serves the work pool '{pool}'"
    if found.concurrency_limit == 0:
        return f"the work pool '{pool}' lets no run begin (its limit is 0)"
    return None
