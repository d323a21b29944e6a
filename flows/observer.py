"""Watches an execution for the pipeline flow: its page, its log, its neighbours."""

import asyncio
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from httpx import HTTPError
from prefect.exceptions import PrefectException

from prefect_delivery.actions import run_logger
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.loop import Idle, Observer
from prefect_delivery.flows.page import Page
from prefect_delivery.flows.waking import wake
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings


class Watcher(Observer, Protocol):
    """Watches an execution from outside of the flow."""

    def notice(self, text: str) -> None:
        """Called with what goes wrong beside the execution itself."""
        ...


also: ContextVar[Watcher | None] = ContextVar("observer", default=None)
"""Who watches besides, in a terminal for example."""


def notice(text: str) -> None:
    """Say what goes wrong beside the execution itself."""
    run_logger().warning("%s", text)
    if watcher := also.get():
        watcher.notice(text)


@dataclass
class FlowObserver:
    """Shows an execution on its Prefect page and to whoever else watches.

    Attributes:
        deployed: Whether the run may be suspended while it waits.
    """

    ledger: Ledger
    page: Page
    deployed: bool
    also: Watcher | None = field(default_factory=also.get)
    _logger: Any = field(default_factory=run_logger)
    _ended: set[str] = field(default_factory=set[str])
    _idle: float | None = None
    _waking: "set[asyncio.Task[None]]" = field(default_factory=set[Any])

    def changed(self, execution: Execution) -> None:
        self.page.show(execution)
        if execution.status is not Status.WAITING:
            self._idle = None
        self._wake_others(execution)
        if self.also:
            self.also.changed(execution)

    def line(self, action: str, line: str) -> None:
        self._logger.info("%s", f"{action} | {line}")
        if self.also:
            self.also.line(action, line)

    def waits(self, execution: Execution, idle: Idle) -> bool:
        if self.also:
            return self.also.waits(execution, idle)
        if not self.deployed:
            return True
        patience = settings().suspend_after
        now = time.monotonic()
        self._idle = now if self._idle is None else self._idle
        if now - self._idle < patience:
            return True
        until = idle.until
        return (
            until is not None and (until - datetime.now(UTC)).total_seconds() < patience
        )

    async def close(self) -> None:
        """Wait until the neighbours were told what they waited for."""
        while self._waking:
            await asyncio.wait(self._waking)

    def _wake_others(self, execution: Execution) -> None:
        """Tell those that wait for a stage, or in a group, that it may be free."""
        ended = {name for name, run in execution.stages.items() if run.status.ended}
        new = ended - self._ended
        self._ended = ended
        if not new:
            return
        stages = execution.definition.stages
        grouped = any(name in stages and stages[name].concurrency_group for name in new)
        task = asyncio.create_task(self._wake(None if grouped else execution.pipeline))
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def _wake(self, pipeline: str | None) -> None:
        try:
            # Mostly nobody waits, and Prefect need not be asked.
            if await asyncio.to_thread(self.ledger.executions.unattended, pipeline):
                say = self._logger.info
                await asyncio.to_thread(wake, self.ledger, say, pipeline=pipeline)
        except (HTTPError, PrefectException) as error:
            # Reconciling will do it.
            self._logger.warning("nobody was woken: %s", error)
