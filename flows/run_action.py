"""Carry out one action of a pipeline, in infrastructure of its own.

    python -m prefect_delivery.flows.run_action

It is what a worker starts for an action with `runs_on`. It knows where the delivery
server is, and a ticket that is good for one action and once. It has no access to the
ledger and none to Prefect's server.
"""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from prefect_delivery.actions import Job
from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.errors import DeliveryError
from prefect_delivery.flows.arguments import arguments_of
from prefect_delivery.flows.exchange import Exchange
from prefect_delivery.flows.performers import as_outputs
from prefect_delivery.registry import task_of
from prefect_delivery.remote import (
    SERVER,
    TICKET,
    Errand,
    Outcome,
    outcome_of,
)
from prefect_delivery.secrets import blocks_from
from prefect_delivery.settings import settings

BEAT: Final = 1.0
"""Seconds between two signs of life, with which lines of the log go along."""
MOST_LINES: Final = 2000
"""Lines that go along with one."""


class Life:
    """Tells the server that the action lives and what it logs; hears when to end."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._lines: deque[str] = deque()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def log(self, line: str) -> None:
        print(line, flush=True)
        self._lines.append(line)

    def begin(self, job: Job) -> None:
        self._thread = threading.Thread(target=self._go, args=(job,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send what was logged last."""
        self._done.set()
        if self._thread:
            self._thread.join()

    def _go(self, job: Job) -> None:
        while not self._done.wait(BEAT):
            self._beat(job)
        while self._lines:
            self._beat(job)

    def _beat(self, job: Job) -> None:
        count = min(MOST_LINES, len(self._lines))
        try:
            reason = self._exchange.beat([self._lines.popleft() for _ in range(count)])
        except DeliveryError as error:
            # Nobody would hear how it ends, nor could anybody stop it any more.
            reason = error.message
            self._lines.clear()
        if reason and not job.cancelled.is_set():
            job.cancel(reason)


def perform(address: str, ticket: str) -> None:
    """Take an action, carry it out, and leave its outcome.

    Raises:
        ActionFailed: There is nothing to take, or nobody takes the outcome.
    """
    exchange = Exchange(address)
    errand = exchange.take(ticket)
    life = Life(exchange)
    job = Job(
        key=errand.key,
        name=errand.name,
        pipeline=errand.pipeline,
        execution=errand.execution,
        workspaces=settings().workspaces,
        log=life.log,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: job.cancel("its process was told to end"))
    life.begin(job)
    try:
        outcome = _outcome(exchange, errand, job)
    finally:
        life.end()
    exchange.finish(outcome)


def _outcome(exchange: Exchange, errand: Errand, job: Job) -> Outcome:
    store = ArtifactStore(settings().artifacts)
    try:
        for digest in errand.inputs():
            exchange.fetch(digest, store)
        task = task_of(errand.call.uses)
        with blocks_from(exchange.secret):
            returned = task.fn(**arguments_of(task, errand.call, job))
        outputs = as_outputs(returned)
        if isinstance(outputs, BaseException):
            return outcome_of(outputs, retryable=job.retryable)
        outcome = Outcome(outputs=outputs, retryable=job.retryable)
    except Exception as error:  # noqa: BLE001 - an action may raise anything
        outcome = outcome_of(error, retryable=job.retryable)
    try:
        for artifact in outcome.artifacts().values():
            exchange.keep(artifact.digest, store)
    except DeliveryError as error:
        return outcome_of(error, retryable=True)
    return outcome


def _in_a_home_of_its_own(environment: Mapping[str, str], folder: Path) -> None:
    """Leave nothing of Prefect's or ours in the environment but a home for this run."""
    for name in environment:
        if name.startswith("PREFECT"):
            del os.environ[name]
    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    os.environ["PREFECT_DELIVERY_HOME"] = str(folder / "delivery")


def main() -> int:
    """Carry out the action that the environment names; 0 when its outcome is told."""
    given: Any = dict(os.environ)
    if TICKET not in given or SERVER not in given:
        print(
            "deliver: this is started by pipelines, for actions with 'runs_on'",
            file=sys.stderr,
        )
        return 2
    with TemporaryDirectory(prefix="run-action-") as folder:
        _in_a_home_of_its_own(given, Path(folder))
        try:
            perform(given[SERVER], given[TICKET])
        except DeliveryError as error:
            print(f"deliver: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
