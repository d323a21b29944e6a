"""The worker type `delivery`: runs begin at once, in processes that are warm.

Known to Prefect by the entry point group `prefect.collections`, so that
`prefect worker start --pool NAME --type delivery` finds it.
"""

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import anyio.abc
import prefect
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.settings import get_current_settings
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import (
    ProcessJobConfiguration,
    ProcessWorker,
    ProcessWorkerResult,
)

from prefect_delivery.deployments.capacity import capacity
from prefect_delivery.deployments.nursery import Nursery
from prefect_delivery.deployments.warm_start import ENGINE, Job, Runs, misfit
from prefect_delivery.errors import DeliveryError
from prefect_delivery.holder import WORKER, this_holder
from prefect_delivery.remote import COMMAND

PRELOADED = [
    "prefect_delivery.deployments.warm_child",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.events.clients",
    "prefect.logging.handlers",
    "prefect.deployments.steps.core",
    "prefect_delivery.flows.pipeline",
    "prefect_delivery.deployments.preload",
]
PRELOAD = "PREFECT_DELIVERY_PRELOAD"
"""Environment variable that names more modules to import, such as one's own flows."""
READY = ["Scheduled", "AwaitingRetry", "Resuming", "Late", "AwaitingConcurrencySlot"]
"""Names of states in which a run waits for a worker."""
STOCK = command_to_string([sys.executable, "-m", ENGINE])
"""The command of a run whose job variables name none."""
OURS = command_to_string([sys.executable, *COMMAND.split()[1:]])
"""The command that carries out an action, by the interpreter that runs the worker."""
OWN_INTERPRETER = ("PYTHON", "LD_")
"""How variables begin that count only when an interpreter starts."""
LOOK = 0.2
"""Seconds between looks at whether the last run has ended."""
AGAIN = 5.0
"""Seconds until a lost subscription is tried again."""


class DeliveryWorker(ProcessWorker):
    """Runs flows in processes of this machine that were started and warmed before."""

    type = "delivery"
    _display_name = "Delivery"
    _description = (
        "Runs flows in processes of the worker's machine that have everything"
        " imported, as soon as they are scheduled."
    )
    _documentation_url = ""
    _logo_url = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["limit"] = kwargs.get("limit") or capacity()
        super().__init__(*args, **kwargs)
        self._nursery: Nursery | None = None
        self._runs: Runs | None = None
        self._wake = asyncio.Event()
        self._polling = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._draining = False
        self._going: set[UUID] = set()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: "anyio.abc.TaskStatus[int] | None" = None,
    ) -> ProcessWorkerResult:
        """Carry out a run, and wait for its end."""
        self._going.add(flow_run.id)
        configuration.env[WORKER] = this_holder()
        if configuration.command == COMMAND:
            # Here no image says what `python` is.
            configuration.command = OURS
        try:
            if self._runs is None or _needs_own_interpreter(configuration):
                return await super().run(flow_run, configuration, task_status)
            status = task_status or anyio.TASK_STATUS_IGNORED
            return await self._run_warm(self._runs, flow_run, configuration, status)
        finally:
            self._going.discard(flow_run.id)
            # A place is free: whoever waits for one need not wait for the next poll.
            self._wake.set()

    async def _run_warm(
        self,
        runs: Runs,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        status: "anyio.abc.TaskStatus[int]",
    ) -> ProcessWorkerResult:
        with (
            nullcontext(configuration.working_dir)
            if configuration.working_dir
            else tempfile.TemporaryDirectory(prefix="delivery-")
        ) as folder:
            job = Job(
                environment=_strings(configuration.env),
                folder=Path(folder).resolve(),
                output=configuration.stream_output,
            )
            ended = await runs.run(flow_run, job, status.started)
        if ended is None:
            raise RuntimeError("the process of the flow run was not started")
        code, pid = ended
        return ProcessWorkerResult(status_code=code, identifier=str(pid))

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Ask for what is scheduled, and for cancellations that no event has told."""
        taken = await self._take()
        await self._cancel_missed()
        return taken

    async def _take(self) -> list[FlowRun]:
        async with self._polling:
            if self._draining:
                return []
            return await super().get_and_submit_flow_runs()

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        # A run may be resumed before its first process has ended. That one has to end
        # first; two would do the same work side by side.
        found = await super()._get_scheduled_flow_runs()
        return [entry for entry in found if entry.flow_run.id not in self._going]

    async def drain(self) -> None:
        """Take no more runs, and return when those that go on have ended."""
        self._draining = True
        async with self._polling:
            pass
        while self._going or self._submitting_flow_run_ids:
            await asyncio.sleep(LOOK)

    async def renew(self) -> None:
        """Let runs from now on begin with the code as it is on disk now."""
        if self._nursery is None:
            return
        try:
            await self._nursery.renew()
        except DeliveryError as error:
            self._logger.error("runs begin with the old code: %s", error.message)
        else:
            self._logger.info("runs begin with the code on disk from now on")

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._warm_up(stack)
            await super().__aenter__()
            for helper in (self._listen(), self._heed()):
                stack.push_async_callback(_end, asyncio.create_task(helper))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._draining = True
        try:
            await super().__aexit__(*exc_info)
        finally:
            await self._stack.aclose()

    async def _warm_up(self, stack: AsyncExitStack) -> None:
        """Keep warm processes while `stack` is open, if this Prefect allows it."""
        environment = {**os.environ, **_settings()}
        more = os.environ.get(PRELOAD, "").replace(",", " ").split()
        nursery = Nursery([*PRELOADED, *more], environment)
        try:
            if reason := misfit():
                raise DeliveryError(reason)
            stack.push_async_callback(nursery.close)
            await nursery.open()
        except DeliveryError as error:
            self._logger.warning(
                "no warm starts with Prefect %s (%s): runs start as those of a"
                " process worker do",
                prefect.__version__,
                error.message,
            )
            return
        self._nursery = nursery
        self._runs = await stack.enter_async_context(Runs(nursery, self.name))

    async def _listen(self) -> None:
        """Wake up for what is scheduled, and cancel what is cancelled."""
        names = [f"prefect.flow-run.{state}" for state in (*READY, "Cancelling")]
        wanted = EventFilter(event=EventNameFilter(name=names))
        lost = False
        while True:
            try:
                async with get_events_subscriber(filter=wanted) as events:
                    lost = False
                    self._wake.set()
                    async for event in events:
                        if not event.event.endswith(".Cancelling"):
                            self._wake.set()
                        elif self._runs:
                            run = event.resource.id.rpartition(".")[2]
                            self._runs.cancel(UUID(run))
            except Exception as error:  # noqa: BLE001 - polling goes on, whatever it is
                if not lost:
                    self._logger.warning("no events, only polling: %r", error)
                lost = True
            await asyncio.sleep(AGAIN)

    async def _heed(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._take()
            except Exception as error:  # noqa: BLE001 - the next poll tries again
                self._logger.warning("cannot ask for runs for now: %r", error)

    async def _cancel_missed(self) -> None:
        if self._runs is None or not self._runs.alive:
            return
        found = await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=list(self._runs.alive)),
                state=FlowRunFilterState(
                    type=FlowRunFilterStateType(any_=[StateType.CANCELLING])
                ),
            )
        )
        for flow_run in found:
            self._runs.cancel(flow_run.id)


def _needs_own_interpreter(configuration: ProcessJobConfiguration) -> bool:
    return configuration.command != STOCK or any(
        name.startswith(OWN_INTERPRETER) and os.environ.get(name) != value
        for name, value in configuration.env.items()
    )


async def _end(helper: "asyncio.Task[None]") -> None:
    helper.cancel()
    await asyncio.wait([helper])


def _strings(environment: dict[str, str | None]) -> dict[str, str]:
    return {name: v for name, v in environment.items() if v is not None}


def _settings() -> dict[str, str]:
    return get_current_settings().to_environment_variables(exclude_unset=True)
