"""Run an execution in this process: with Prefect's engine, or without any server."""

import asyncio
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from prefect_delivery.control import waiting_actions
from prefect_delivery.engine.state import Execution
from prefect_delivery.flows.loop import Loop
from prefect_delivery.flows.performers import Direct
from prefect_delivery.flows.pipeline import observed, pipeline
from prefect_delivery.ledger import Ledger

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
    _left: bool = False
    _asked: threading.Thread | None = field(default=None, repr=False)

    def changed(self, execution: Execution) -> None:
        self.on_change(execution)

    def line(self, action: str, line: str) -> None:
        self.on_line(action, line)

    def waits(self, execution: Execution) -> bool:
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
    with observed(watch):
        asyncio.run(_with_engine(execution_id))
    return ledger.executions.get(execution_id)


async def _with_engine(execution_id: str) -> None:
    # What became of the execution is read from the ledger, not from Prefect's state.
    await pipeline(execution_id=execution_id, return_state=True)


async def _direct(ledger: Ledger, execution_id: str, watch: Watch) -> Execution:
    loop = Loop(ledger, execution_id, Direct(), watch)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        name = signal.Signals(number).name
        asyncio.get_running_loop().add_signal_handler(number, loop.interrupt, name)
    return await loop.run()
