"""Runs of Prefect flows in warm processes: how they begin, are cancelled, and end.

The only file that uses what Prefect does not promise to keep: those parts of its runner
that look after the process of a run. `misfit` says whether the installed version has
them as they are used here.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Literal, Self
from uuid import UUID

import anyio
import anyio.abc
from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas import FlowRun, State
from prefect.exceptions import PrefectException
from prefect.flows import load_flow_from_flow_run
from prefect.logging.loggers import flow_run_logger, get_logger
from prefect.states import Cancelled, Cancelling
from prefect.workers.base import BaseWorker

from prefect_delivery.deployments.forker import signal_group
from prefect_delivery.deployments.nursery import Child, Nursery

try:
    from prefect.runner._cancellation_manager import CancellationManager
    from prefect.runner._control_channel import ControlChannel
    from prefect.runner._event_emitter import EventEmitter
    from prefect.runner._flow_run_executor import FlowRunExecutor
    from prefect.runner._hook_runner import HookRunner
    from prefect.runner._process_manager import ProcessHandle, ProcessManager
    from prefect.runner._state_proposer import StateProposer
except ImportError as error:
    _missing: str | None = str(error)
    ProcessManager = object  # type: ignore[assignment,misc]  # so that `misfit` can say it
else:
    _missing = None

Hook = Literal["cancellation", "crashed"]
GRACE = 30.0
"""Seconds that a run has to end before it is killed, as in Prefect's own worker."""
ASK = 5.0
"""Seconds that Prefect's server has to answer when the worker ends."""
ENGINE = "prefect.engine"
"""What the stock worker starts for a run: `python -m prefect.engine`."""


def misfit() -> str | None:
    """What the installed Prefect lacks of what is used here; None when it fits."""
    if _missing:
        return _missing
    try:
        return next(filter(None, (_differs(*use) for use in _used())), None)
    except AttributeError as error:
        return str(error)


def _differs(used: Callable[..., Any], given: set[str]) -> str | None:
    parameters = inspect.signature(used).parameters
    needed = {n for n, p in parameters.items() if p.default is p.empty}
    wrong = (needed - given) | (given - set(parameters))
    name = f"{used.__module__}.{used.__qualname__}"
    named = ", ".join(sorted(wrong))
    return f"{name} has other parameters: {named}" if wrong else None


def _used() -> list[tuple[Callable[..., Any], set[str]]]:
    """The callables that are used, with the arguments they get."""
    run = {"self", "flow_run"}
    run_id = {"self", "flow_run_id"}
    common = {"process_manager", "state_proposer", "hook_runner"}
    return [
        (
            FlowRunExecutor,
            {"flow_run", "starter", "propose_submitting", "get_attempt_conclusion"}
            | common,
        ),
        (FlowRunExecutor.submit, {"self", "task_status"}),
        (
            CancellationManager,
            {"event_emitter", "client", "control_channel"} | common,
        ),
        (CancellationManager.cancel, run),
        (ControlChannel, set()),
        (ControlChannel.register, run_id),
        (ControlChannel.unregister, run_id),
        (ControlChannel.get_conclusion, run_id),
        (EventEmitter, {"runner_name", "client"}),
        (HookRunner, {"resolve_flow"}),
        (HookRunner.run_cancellation_hooks, {*run, "state"}),
        (HookRunner.run_crashed_hooks, {*run, "state"}),
        (ProcessHandle, {"_process"}),
        (ProcessManager, {"on_remove"}),
        (ProcessManager.get, run_id),
        (ProcessManager.remove, run_id),
        (ProcessManager.kill, {*run_id, "grace_seconds", "force"}),
        (StateProposer, {"client"}),
        (BaseWorker._get_scheduled_flow_runs, {"self"}),
        (StateProposer.propose_crashed, {*run, "message"}),
    ]


@dataclass(frozen=True)
class Job:
    """What a child needs to know about its run.

    Attributes:
        environment: All of it: nothing of the child's own remains.
        folder: Where it works.
        output: Whether what it writes is shown where the worker's output is.
    """

    environment: Mapping[str, str]
    folder: Path
    output: bool = True


class Runs:
    """The runs of one worker: each is begun in a warm process and watched to its end."""

    def __init__(self, nursery: Nursery, worker: str) -> None:
        self._nursery = nursery
        self._worker = worker
        self._stack = AsyncExitStack()
        self._managers: dict[UUID, CancellationManager] = {}
        self._cancelling: dict[UUID, asyncio.Task[None]] = {}
        self._logger = get_logger("delivery.worker")

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        self._client = await enter(get_client())
        self._proposer = StateProposer(client=self._client)
        self._events = await enter(
            EventEmitter(runner_name=self._worker, client=self._client)
        )
        self._channel = await enter(ControlChannel())
        self._processes = await enter(_Processes(on_remove=self._forget))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def alive(self) -> set[UUID]:
        """Ids of the flow runs that go on, and are not being cancelled."""
        return set(self._managers) - set(self._cancelling)

    async def run(
        self, flow_run: FlowRun, job: Job, started: Callable[[int], None]
    ) -> tuple[int, int] | None:
        """Begin a run and wait for its end, which is reported to Prefect.

        Args:
            started: Is told the process number.

        Returns:
            Exit code and process number; None when it was not begun.
        """
        hooks = _Hooks(self._nursery, job)
        common: dict[str, Any] = {
            "process_manager": self._processes,
            "state_proposer": self._proposer,
            "hook_runner": hooks,
        }
        self._managers[flow_run.id] = CancellationManager(
            event_emitter=self._events,
            client=self._client,
            control_channel=self._channel,
            **common,
        )
        executor = FlowRunExecutor(
            flow_run=flow_run,
            starter=_Starter(self._nursery, job, self._channel),
            propose_submitting=False,
            get_attempt_conclusion=self._channel.get_conclusion,
            **common,
        )
        try:
            ended = await executor.submit(task_status=_Started(started))
            await self._cancelled(flow_run.id)
            await self._finish_cancellation(flow_run, hooks)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self._end(flow_run)
            raise
        finally:
            self._managers.pop(flow_run.id, None)
        if ended is None or ended.status_code is None or ended.handle.pid is None:
            return None
        return ended.status_code, ended.handle.pid

    def cancel(self, flow_run_id: UUID) -> None:
        """Begin to end a run that somebody cancels; nothing where it does not go on.

        One that has no process yet will find out: Prefect does not let it begin.
        """
        if flow_run_id in self.alive:
            self._cancelling[flow_run_id] = asyncio.create_task(
                self._cancel(flow_run_id)
            )

    async def _cancel(self, flow_run_id: UUID) -> None:
        """End a run, call its hooks, and say to Prefect that it is cancelled."""
        try:
            flow_run = await self._client.read_flow_run(flow_run_id)
            await self._managers[flow_run_id].cancel(flow_run)
        except Exception:
            # If it still goes on, whoever looks for missed cancellations finds it.
            self._logger.exception("cannot cancel flow run '%s' now", flow_run_id)
        finally:
            self._cancelling.pop(flow_run_id, None)

    async def _end(self, flow_run: FlowRun) -> None:
        """End a run because its worker ends."""
        if await self._is_cancelling(flow_run.id):
            self.cancel(flow_run.id)
            await self._cancelled(flow_run.id)
        else:
            await self._processes.kill(flow_run.id, GRACE)
            if self._channel.get_conclusion(flow_run.id) is None:
                await self._proposer.propose_crashed(
                    flow_run, "Its worker was stopped while it ran."
                )
        await self._processes.remove(flow_run.id)

    async def _finish_cancellation(self, flow_run: FlowRun, hooks: "_Hooks") -> None:
        """Say that a run is cancelled whose process has ended and could not say so.

        It was cancelled before it had a process that could be ended. Prefect lets
        nothing become of such a run, and leaves it as it is.
        """
        if not await self._is_cancelling(flow_run.id):
            return
        await hooks.run_cancellation_hooks(flow_run, Cancelling())
        said: State[Any] = Cancelled(message="It was cancelled before it began.")
        try:
            await self._client.set_flow_run_state(flow_run.id, said, force=True)
        except (HTTPError, PrefectException) as error:
            # Reconciling makes up for it.
            self._logger.warning("'%s' is not cancelled yet: %r", flow_run.name, error)

    async def _is_cancelling(self, flow_run_id: UUID) -> bool:
        if flow_run_id in self._cancelling:
            return True
        try:
            async with asyncio.timeout(ASK):
                state = (await self._client.read_flow_run(flow_run_id)).state
        except (TimeoutError, HTTPError, PrefectException):
            return False
        return state is not None and state.is_cancelling()

    async def _cancelled(self, flow_run_id: UUID) -> None:
        """Return when a run is not being cancelled, or is not any more."""
        if cancelling := self._cancelling.get(flow_run_id):
            await asyncio.wait([cancelling])

    async def _forget(self, flow_run_id: UUID) -> None:
        self._channel.unregister(flow_run_id)


class _Processes(ProcessManager):
    """Ends processes with all that they started, and notices at once that they ended."""

    async def kill(
        self, flow_run_id: UUID, grace_seconds: float = GRACE, *, force: bool = False
    ) -> None:
        handle = self.get(flow_run_id)
        if handle is None:
            return
        child: Any = handle.raw_process
        if not force:
            signal_group(child.pid, SIGTERM)
            with anyio.move_on_after(grace_seconds):
                await child.wait()
        signal_group(child.pid, SIGKILL)


@dataclass
class _Starter:
    """Begins a run in a child of the nursery, and waits until the child has ended."""

    nursery: Nursery
    job: Job
    channel: ControlChannel

    async def start(
        self,
        flow_run: FlowRun,
        task_status: "anyio.abc.TaskStatus[ProcessHandle]" = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        child = await self.nursery.take()
        port, token = self.channel.register(flow_run.id)
        environment = {
            "PREFECT__FLOW_RUN_ID": str(flow_run.id),
            "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
            "PREFECT__CONTROL_PORT": str(port),
            "PREFECT__CONTROL_TOKEN": token,
        }
        _begin(child, self.job, environment)
        task_status.started(ProcessHandle(child))  # type: ignore[arg-type]  # has what it needs
        await child.wait()


@dataclass
class _Hooks:
    """Calls hooks of a flow in a child, since its code has no business in the worker."""

    nursery: Nursery
    job: Job

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State) -> None:
        await self._call("cancellation", flow_run, state)

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State) -> None:
        await self._call("crashed", flow_run, state)

    async def _call(self, hook: Hook, flow_run: FlowRun, state: State) -> None:
        child = await self.nursery.take()
        environment = {"PREFECT__FLOW_RUN_ID": str(flow_run.id)}
        told = {
            "hook": hook,
            "flow_run": flow_run.model_dump(mode="json"),
            "state": state.model_dump(mode="json"),
        }
        _begin(child, self.job, environment, **told)
        if code := await child.wait():
            flow_run_logger(flow_run).warning("its %s hooks ended with %s", hook, code)


@dataclass
class _Started:
    tell: Callable[[int], None]

    def started(self, handle: Any = None) -> None:
        self.tell(handle.pid)


def _begin(child: Child, job: Job, environment: Mapping[str, str], **more: Any) -> None:
    child.begin(
        {
            "environment": {**job.environment, **environment},
            "folder": str(job.folder),
            "output": job.output,
            **more,
        }
    )


def call_hooks(job: dict[str, Any]) -> None:
    """In a child: call the hooks of a flow."""
    flow_run = FlowRun.model_validate(job["flow_run"])
    state = State[Any].model_validate(job["state"])
    runner = HookRunner(resolve_flow=load_flow_from_flow_run)
    if job["hook"] == "cancellation":
        asyncio.run(runner.run_cancellation_hooks(flow_run, state))
    else:
        asyncio.run(runner.run_crashed_hooks(flow_run, state))
