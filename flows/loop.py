"""The loop that drives an execution: read, decide, perform, record, again.

It knows neither Prefect's engine nor the terminal: a `Performer` carries out actions,
an `Observer` watches. Everything that counts is in the ledger, so a loop that dies is
continued by any other that claims the execution.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from prefect_delivery.actions import Artifact, Job, Outputs
from prefect_delivery.control import waiting_actions
from prefect_delivery.definition.models import Action, Pipeline, Rule
from prefect_delivery.engine.conditions import shown, spec_of
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.gate import Hold
from prefect_delivery.engine.state import ArtifactRef, Execution, Status
from prefect_delivery.engine.steps import (
    AskAgain,
    CancelAction,
    End,
    EndStage,
    EnterStage,
    RetryStage,
    StartAction,
    Step,
    Wait,
)
from prefect_delivery.errors import ActionFailed, DeliveryError, LeaseLost
from prefect_delivery.flows.cached import Kept
from prefect_delivery.flows.carrying import work_of
from prefect_delivery.flows.close import close, close_dead
from prefect_delivery.flows.performers import Performer, Result
from prefect_delivery.holder import has_lost_its_worker, is_dead, this_holder
from prefect_delivery.ledger import Attempt, Ledger
from prefect_delivery.logs import LogFile, LogWriter
from prefect_delivery.rollbacks import automatic_rollbacks
from prefect_delivery.settings import settings

RENEW = 5.0
POLL = 0.5
"""Seconds between looks into the ledger for what people or other processes did."""

Key = tuple[str, str, int]


class Observer(Protocol):
    """Watches an execution; its methods are called from the loop's thread."""

    def changed(self, execution: Execution) -> None:
        """Called after every change."""
        ...

    def line(self, action: str, line: str) -> None:
        """Called, from any thread, for each line that an action logs."""
        ...

    def waits(self, execution: Execution, idle: "Idle") -> bool:
        """Called while nothing runs and something is waited for.

        False ends the loop for now.
        """
        ...


@dataclass(frozen=True)
class Idle:
    """What an execution waits for that has nothing to do.

    Attributes:
        for_people: Whether somebody has to decide something.
        until: When it goes on by itself, if that is known.
    """

    for_people: bool
    until: datetime | None


@dataclass
class Loop:
    """Drives one execution until it ends, or only waits and the observer leaves.

    Attributes:
        flow_run: Id of the Prefect flow run that it is driven in, if any.
        deployed: Whether a worker of Prefect's carries that flow run out.
        who: Says why the process is told to end, when it is.
    """

    ledger: Ledger
    execution_id: str
    performer: Performer
    observer: Observer
    flow_run: str | None = None
    deployed: bool = False
    who: Callable[[], Awaitable[str]] | None = None
    _attempt: Attempt = field(init=False)
    _definition: Pipeline = field(init=False)
    _jobs: dict[Key, Job] = field(default_factory=dict[Key, Job])
    _logs: dict[Key, LogWriter] = field(default_factory=dict[Key, LogWriter])
    _ended: "asyncio.Queue[tuple[Key, Result]]" = field(
        default_factory=lambda: asyncio.Queue()
    )
    _lost: LeaseLost | None = None
    _interrupted: str | None = None
    _task: "asyncio.Task[Any] | None" = None
    _going: bool = False
    _held: bool = False
    _looked: float = -RENEW
    _following: "Loop | None" = None

    async def run(self) -> Execution:
        """Drive the execution.

        Returns:
            The execution as it stands: ended, or waiting for a decision.

        Raises:
            Refused: Another loop drives it.
            LeaseLost: Another loop has taken it over; nothing was changed since.
        """
        self._attempt = self.ledger.executions.claim(
            self.execution_id,
            holder=this_holder(),
            ttl=settings().lease,
            dead=is_dead,
            flow_run=self.flow_run,
            deployed=self.deployed,
        )
        self._events = asyncio.get_running_loop()
        self._task, self._going = asyncio.current_task(), True
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(done,), daemon=True)
        renewer.start()
        try:
            self._adopt()
            return await self._drive()
        except LeaseLost:
            self._cancel_all("another process has taken this execution over")
            self.performer.join()
            raise
        except BaseException as error:
            await self._abandon(error)
            raise
        finally:
            self._going = False
            done.set()
            renewer.join()
            self.ledger.executions.leave(self._attempt)

    def interrupt(self, reason: str) -> None:
        """Stop the execution from a signal handler in the loop's thread."""
        self._interrupted = reason
        if self._following:
            self._following.interrupt(reason)

    def end(self) -> None:
        """End `run` from a signal handler, unless it ends already."""
        if self._going and self._task:
            self._going = False
            self._task.cancel()
        if self._following:
            self._following.end()

    async def _drive(self) -> Execution:
        while True:
            execution = self.ledger.executions.get(self.execution_id)
            self.observer.changed(execution)
            if execution.status.ended:
                return execution
            steps = decide(execution, datetime.now(UTC))
            acted = [self._do(execution, step) for step in steps]
            if any(acted):
                continue
            idle = not self._jobs and _waits(execution)
            self._note_status(execution, Status.WAITING if idle else Status.IN_PROGRESS)
            waits = [step for step in steps if isinstance(step, Wait)]
            if idle and not self.observer.waits(
                execution, self._idle(execution, waits)
            ):
                return self.ledger.executions.get(self.execution_id)
            await self._pause(waits)

    def _idle(self, execution: Execution, waits: list[Wait]) -> Idle:
        return Idle(
            for_people=bool(waiting_actions(execution)) or self._held,
            until=min((wait.until for wait in waits if wait.until), default=None),
        )

    def _do(self, execution: Execution, step: Step) -> bool:
        """Carry out a step; say whether anything has changed in the ledger."""
        executions = self.ledger.executions
        match step:
            case EnterStage(stage):
                return self._enter(execution, stage)
            case RetryStage(stage, all_actions):
                executions.retry_stage(self._attempt, stage, all_actions=all_actions)
            case StartAction(stage, action, number):
                executions.begin_action(self._attempt, stage, action, number)
                self._start(execution, (stage, action, number))
            case AskAgain(stage, action, number):
                executions.ask_again(self._attempt, stage, action, number)
                self._start(execution, (stage, action, number))
            case CancelAction():
                return self._cancel(step)
            case EndStage(stage, status, reason):
                executions.end_stage(self._attempt, stage, status, reason)
            case End(status, reason):
                executions.end(self._attempt, status, reason)
            case Wait():
                return False
        return True

    def _enter(self, execution: Execution, stage: str) -> bool:
        """Enter a stage if its gate lets us in; say whether anything has changed."""
        verdict = self.ledger.executions.enter_stage(self._attempt, stage)
        self._held = isinstance(verdict, Hold) and verdict.for_people
        if not isinstance(verdict, Hold):
            return True
        if time.monotonic() - self._looked > RENEW:
            # What we wait for may have lost its process.
            close_dead(self.ledger, lambda _: None, pipeline=execution.pipeline)
            self._looked = time.monotonic()
        return False

    def _start(self, execution: Execution, key: Key) -> None:
        """Hand an attempt to the performer; what cannot start has failed."""
        stage, action, number = key
        name = f"{stage} / {shown(action)}"
        log = LogFile.of(execution.id, stage, action, number).writer(
            lambda line: self.observer.line(name, line)
        )
        job = Job(
            key=f"{execution.id}/{stage}/{action}/{number}",
            name=name,
            pipeline=execution.pipeline,
            execution=execution.id,
            environments=execution.definition.environments,
            revision=execution.revisions.get(action),
            workspaces=settings().workspaces,
            log=log,
            external=self.ledger.executions,
        )
        self._jobs[key], self._logs[key] = job, log
        try:
            task, arguments = work_of(execution, *key, job, self.ledger.cache)
        except DeliveryError as error:
            self._ended.put_nowait((key, error))
            return
        title = name if number == 1 else f"{name} (attempt {number})"
        self.performer.submit(task, arguments, title, self._reporter(key))

    def _reporter(self, key: Key) -> Callable[[Result], None]:
        def report(result: Result) -> None:
            self._events.call_soon_threadsafe(self._ended.put_nowait, (key, result))

        return report

    def _cancel(self, step: CancelAction) -> bool:
        """Ask a running attempt to end; end one that only waits for a decision."""
        key = (step.stage, step.action, step.attempt)
        job = self._jobs.get(key)
        if job is not None:
            if not job.cancelled.is_set():
                job.cancel(step.reason)
                job.retryable = step.retryable
            return False
        self.ledger.executions.end_action(
            self._attempt, *key, step.status, error=step.reason, retryable=False
        )
        return True

    async def _pause(self, waits: list[Wait]) -> None:
        """Sleep until an attempt ends, a time has come, or the ledger wants a look."""
        now = datetime.now(UTC)
        until = [(w.until - now).total_seconds() for w in waits if w.until]
        try:
            async with asyncio.timeout(max(0.0, min([POLL, *until]))):
                key, result = await self._ended.get()
        except TimeoutError:
            pass
        else:
            self._record(key, result)
            while not self._ended.empty():
                self._record(*self._ended.get_nowait())
        if self._lost:
            raise self._lost
        if self._interrupted:
            self.ledger.executions.request_stop(
                self.execution_id, by=self._interrupted, reason="", abandon=True
            )
            self._interrupted = None

    def _record(self, key: Key, result: Result) -> None:
        """Write down how an attempt ended."""
        stage, action, _ = key
        job = self._jobs.pop(key)
        if isinstance(result, BaseException):
            outputs = getattr(result, "outputs", None) or Outputs()
            status, error = Status.FAILED, _words(result)
            job.log(f"failed: {error}")
            if isinstance(result, DeliveryError) and result.hint:
                job.log(f"next: {result.hint}")
        else:
            outputs, error = result, None
            waits = result.waiting or result.again
            status = Status.WAITING if waits else Status.SUCCEEDED
        self._logs.pop(key).close()
        spec = spec_of(self._definition.stages[stage], action)
        try:
            self.ledger.executions.end_action(
                self._attempt,
                *key,
                status,
                error=error,
                summary=outputs.summary,
                link=outputs.link or getattr(result, "link", None),
                artifacts=_named(spec, action, outputs.artifacts),
                variables=outputs.variables,
                reports=[asdict(report) for report in outputs.reports],
                retryable=job.retryable,
                due=None if error else outputs.again,
                cache_key=outputs.cache_key if isinstance(outputs, Kept) else None,
            )
        except ActionFailed as refused:
            # The ledger takes no more than so many bytes of variables.
            self.ledger.executions.end_action(
                self._attempt, *key, Status.FAILED, error=str(refused)
            )
            return
        revision = outputs.variables.get("commit")
        if spec.uses.startswith("source/") and revision:
            self.ledger.executions.note_revision(self._attempt, action, revision)

    def _adopt(self) -> None:
        """Carry out again what a dead loop had begun: actions attach or repeat."""
        execution = self.ledger.executions.get(self.execution_id)
        self._definition = execution.definition
        for stage, run in execution.stages.items():
            for action, attempts in run.actions.items():
                if attempts[-1].status is Status.IN_PROGRESS:
                    self._start(execution, (stage, action, attempts[-1].attempt))

    def _note_status(self, execution: Execution, status: Status) -> None:
        if execution.status is not status and execution.status is not Status.STOPPING:
            self.ledger.executions.set_status(self._attempt, status)

    def _renew(self, done: threading.Event) -> None:
        while not done.wait(min(RENEW, settings().lease / 4)):
            try:
                self.ledger.executions.renew(self._attempt)
            except LeaseLost as lost:
                self._lost = lost
                return

    def _cancel_all(self, reason: str) -> None:
        for job in self._jobs.values():
            job.cancel(reason)

    async def _abandon(self, error: BaseException) -> None:
        """End what runs and record the execution as stopped, since we cannot go on.

        A run that is told to end since its worker was killed dies as the worker did:
        nobody wanted it to end, so it is taken over, and what it does elsewhere goes on.
        """
        self._going = False
        if self.deployed and not isinstance(error, Exception) and has_lost_its_worker():
            os.kill(os.getpid(), signal.SIGKILL)
        self._cancel_all("the run was ended")
        reason = _words(error) if isinstance(error, Exception) else None
        try:
            if reason is None and self.who is not None:
                reason = await self.who()
        finally:
            self.performer.join()
            close(self.ledger, self._attempt, reason or "its process was told to end")
            self.observer.changed(self.ledger.executions.get(self.execution_id))


async def drive(loop: Loop) -> Execution:
    """Drive an execution, then the rollbacks that its definition wants if it fails.

    Returns:
        The execution itself as it stands; see `Loop.run`.
    """
    ended = await loop.run()
    for back in automatic_rollbacks(loop.ledger, ended):
        # Signals reach the loop that is known to their handlers.
        loop._following = replace(loop, execution_id=back.id, _following=None)
        await loop._following.run()
    return ended


def _waits(execution: Execution) -> bool:
    """Whether a stage waits to be entered, or an action for a decision or its time."""
    return any(
        Status.WAITING
        in {run.status, *(runs[-1].status for runs in run.actions.values())}
        for run in execution.stages.values()
        if not run.status.ended
    )


def _named(
    spec: Action | Rule, action: str, artifacts: dict[str, Artifact]
) -> dict[str, ArtifactRef]:
    """Artifacts under the names of the definition: a source's single one has its own."""
    refs = {
        name: ArtifactRef(digest=artifact.digest, size=artifact.size)
        for name, artifact in artifacts.items()
    }
    if isinstance(spec, Rule):
        return {}
    if spec.uses.startswith("source/") and len(refs) == 1:
        return {next(iter(spec.outputs), action): next(iter(refs.values()))}
    return refs


def _words(error: BaseException) -> str:
    """What to say of a failure; the kind too, where it is not one of ours."""
    if isinstance(error, DeliveryError):
        return error.message
    return f"{type(error).__name__}: {error}"
