"""Run an execution in this process: with Prefect's engine, or without any server."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from httpx import HTTPError
from prefect.exceptions import PrefectException

from prefect_delivery.control import waiting_actions
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.close import close
from prefect_delivery.flows.loop import Idle, Loop, drive
from prefect_delivery.flows.performers import Direct
from prefect_delivery.flows.pipeline import observed, pipeline
from prefect_delivery.flows.signals import taken
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

Ask = Callable[[Execution, str, str], bool]
"""Asks a person about the action that waits, given as stage and name, and records the
decision in the ledger. Returns False when the person leaves it open."""


@dataclass
class Watch:
    """Hands on what happens, and asks in the terminal for what waits."""

    on_change: Callable[[Execution], None]
    on_line: Callable[[str, str], None]
    ask: Ask | None = None
    stay: bool = True
    on_notice: Callable[[str], None] = lambda _: None
    """Takes what went wrong beside the execution itself."""
    _left: bool = False
    _asked: threading.Thread | None = field(default=None, repr=False)

    def changed(self, execution: Execution) -> None:
        self.on_change(execution)

    def line(self, action: str, line: str) -> None:
        self.on_line(action, line)

    def notice(self, text: str) -> None:
        self.on_notice(text)

    def waits(self, execution: Execution, idle: Idle) -> bool:
        if not idle.for_people:
            return True
        if not waiting_actions(execution):
            return self.stay
        if self.ask is not None and self._asked is None:
            # A thread of its own: somebody elsewhere may answer before the terminal.
            self._asked = threading.Thread(
                target=self._question, args=(self.ask, execution), daemon=True
            )
            self._asked.start()
        elif self._asked and not self._asked.is_alive():
            self._asked = None
        return self.stay and not self._left

    def _question(self, ask: Ask, execution: Execution) -> None:
        stage, action = waiting_actions(execution)[0]
        self._left = not ask(execution, stage, action)


def run_execution(
    execution_id: str, watch: Watch, *, local: bool, ledger: Ledger | None = None
) -> Execution:
    """Drive an execution until it ends, or waits for a decision nobody gives here.

    Args:
        local: Without Prefect's engine and server; the same loop, ledger and tasks.

    Raises:
        Refused: Another process drives the execution.
    """
    ledger = ledger or Ledger.open()
    if local:
        return asyncio.run(_direct(ledger, execution_id, watch))
    try:
        with observed(watch):
            asyncio.run(_with_engine(execution_id))
    except (HTTPError, PrefectException, RuntimeError) as error:
        # What goes wrong in the flow is in its state; this is Prefect's engine.
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        _give_up(ledger, execution_id, said)
        watch.on_notice(f"Prefect could not be told how the execution ended: {said}")
    return ledger.executions.get(execution_id)


def _give_up(ledger: Ledger, execution_id: str, said: str) -> None:
    """Close an execution that never began, because Prefect made no run for it."""
    status = ledger.executions.get(execution_id).status
    if status.ended or status is Status.WAITING:
        return
    attempt = ledger.executions.claim(
        execution_id, holder=this_holder(), ttl=settings().lease, dead=is_dead
    )
    close(ledger, attempt, f"Prefect made no run for it: {said}")
    ledger.executions.leave(attempt)


async def _with_engine(execution_id: str) -> None:
    # What became of the execution is read from the ledger, not from Prefect's state.
    await pipeline(execution_id=execution_id, return_state=True)


async def _direct(ledger: Ledger, execution_id: str, watch: Watch) -> Execution:
    loop = Loop(ledger, execution_id, Direct(), watch)
    with taken(loop.interrupt):
        return await drive(loop)
