"""Tells the world outside what happened: Prefect's events, and notifications.

What is told is read from the ledger after it was recorded there, so no deployment waits
for anybody who listens. Each destination hears of everything, in order and at least once:
what it has heard of is noted after it was told. One that does not answer is tried again,
at ever longer intervals; what is older than some days is given up, and the audit log
says so.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby, takewhile
from typing import ClassVar, Final

from prefect.settings import get_current_settings

from prefect_delivery.channels import PREFECT, Channel, Unsent, channel_to, unsent
from prefect_delivery.errors import LeaseLost, LedgerError, Refused
from prefect_delivery.events import Event
from prefect_delivery.happened import VERBS, Known, events_of, parts_of
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Entry, Ledger, Rollout, Turn

Say = Callable[[str], None]
SECONDS: Final = 15.0
"""That a destination has to take what it is sent."""
TURN: Final = 60.0
"""Seconds after which a sender that reports nothing has lost its turn."""
LONGEST_PAUSE: Final = 300.0
DAYS: Final = 3.0
"""After which something is no news any more."""
LOOK: Final = 200
"""Entries that are looked at at once."""
FEW: Final = 20
"""Entries that are not worth a turn when there is nothing to tell among them."""
_LOG = logging.getLogger("prefect_delivery.outbox")


def can_tell() -> bool:
    """Whether there is a Prefect API, which has the events and keeps the blocks."""
    return get_current_settings().api.url is not None


def tell_all(ledger: Ledger, say: Say = _LOG.warning, *, patience: float = 60) -> None:
    """Tell every destination what it has not heard of; none holds up another.

    Args:
        say: Takes a line when a destination cannot be told any more.
        patience: Seconds to wait for the destinations. What takes longer goes on in
            its thread, or is done the next time.
    """
    if not can_tell():
        return
    threads = [
        threading.Thread(
            target=copy_context().run,
            args=(_Sender(ledger, place.name, say).run, place.position, place.behind),
            name=f"tell {place.name}",
            daemon=True,
        )
        for place in ledger.outbox.list()
        if place.due and place.behind
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


@dataclass
class _Sender:
    """Tells one destination, for as long as there is something to tell."""

    ledger: Ledger
    destination: str
    say: Say

    @cached_property
    def _channel(self) -> Channel:
        return channel_to(self.destination)

    def run(self, position: int, behind: int) -> None:
        try:
            if behind < FEW and not self._look(position)[0]:
                return  # nothing to tell, and little to look through the next time
            turn = self.ledger.outbox.take(
                self.destination, holder=this_holder(), ttl=TURN, dead=is_dead
            )
            if turn is not None:
                self._tell(turn, position + behind)
        except LeaseLost:
            _LOG.info("another sender tells %s", self.destination)
        except LedgerError as error:
            self.say(f"{self.destination} is not told: {error.message}")
        except Exception:  # noqa: BLE001 - a bug of ours, and no deployment's business
            _LOG.exception("%s is not told", self.destination)

    def _tell(self, turn: Turn, end: int) -> None:
        """Tell of the entries up to one; later ones can wait to be told together."""
        position = turn.position
        try:
            while position < end:
                found, looked = self._look(position)
                if looked == position:
                    break
                self._tell_some(turn, found, looked)
                position = looked
        except (LedgerError, LeaseLost):
            raise
        except Exception as error:  # noqa: BLE001 - noted, and tried again later
            # One destination, whatever its block does, holds up nothing else.
            why = unsent(error)
            pause = min(LONGEST_PAUSE, 5.0 * 2 ** min(turn.tries, 10))
            self.ledger.outbox.failed(turn, why.message, seconds=pause)
            if not turn.tries:
                self.say(f"{self.destination} is not told: {why.message}")
        else:
            self.ledger.outbox.leave(turn)

    def _tell_some(self, turn: Turn, found: list[tuple[int, Event]], to: int) -> None:
        """Tell what was found in the entries up to one."""
        oldest = datetime.now(UTC) - timedelta(days=DAYS)
        stale = [*takewhile(lambda each: each[1].occurred < oldest, found)]
        fresh = found[len(stale) :]
        for title, some in groupby(stale, lambda each: _title(each[1])):
            reason = f"more than {DAYS:g} days old"
            last = max(at for at, _ in some)
            self.ledger.outbox.give_up(turn, last, subject=title, reason=reason)
        # An entry is done with when all of its events are.
        ends = [at - 1 for at, _ in fresh[1:]] + [to]
        some_at_once = self._channel.most
        for first in range(0, len(fresh), some_at_once):
            batch = fresh[first : first + some_at_once]
            self._send(turn, batch, ends[first : first + some_at_once])
        if not fresh:
            self.ledger.outbox.passed(turn, to)

    def _send(
        self, turn: Turn, batch: list[tuple[int, Event]], ends: list[int]
    ) -> None:
        """Send some events at once; where they are refused, one by one."""
        events = [event for _, event in batch]
        try:
            asyncio.run(asyncio.wait_for(self._channel.send(events), SECONDS))
        except Exception as error:
            why = unsent(error)
            if not why.refused:
                raise
            if len(batch) > 1:
                for one, end in zip(batch, ends, strict=True):
                    self._send(turn, [one], [end])
                return
            self._give_up(turn, events[0], ends[0], why)
        else:
            self.ledger.outbox.told(turn, ends[-1])

    def _give_up(self, turn: Turn, event: Event, end: int, why: Unsent) -> None:
        said = f"{event.name}: {why.message}"
        self.ledger.outbox.give_up(turn, end, subject=_title(event), reason=said)
        self.say(f"{self.destination} is never told of {_title(event)}, {said}")

    def _look(self, position: int) -> tuple[list[tuple[int, Event]], int]:
        """What there is to tell in the next entries, and how far they go."""
        entries, looked = self.ledger.outbox.entries(position, limit=LOOK, verbs=VERBS)
        read = _Reader(self.ledger)
        found = [
            (entry.seq, event)
            for entry in entries
            if (known := read.known(entry)) is not None
            for event in events_of(entry, known)
            if self._channel.wants(event, known)
        ]
        return found, looked


@dataclass
class _Reader:
    """Reads what entries are about, each thing once."""

    ledger: Ledger
    _known: dict[tuple[str, int], Known] = field(
        default_factory=dict[tuple[str, int], Known]
    )

    def known(self, entry: Entry) -> Known | None:
        """What an entry is about; None when the ledger does not know it."""
        rollout_id = entry.detail.get("rollout")
        try:
            if rollout_id is None:
                return self._of(*parts_of(entry.subject)[:2])
            return self._of_rollout(self.ledger.rollouts.get(rollout_id))
        except Refused:
            return None

    def _of(self, pipeline: str, number: int) -> Known:
        key = (pipeline, number)
        if key not in self._known:
            execution = self.ledger.executions.find(pipeline, number)
            deployed = self.ledger.deployments.find(pipeline)
            self._known[key] = Known(
                execution=execution,
                deployment=deployed.deployment
                if deployed and execution.deployed
                else None,
            )
        return self._known[key]

    def _of_rollout(self, rollout: Rollout) -> Known:
        try:
            execution = self.ledger.executions.get(rollout.execution_id)
        except Refused:
            return Known(rollout=rollout)  # one outside of pipelines
        found = self._of(execution.pipeline, execution.number)
        return replace(found, rollout=rollout)


def _title(event: Event) -> str:
    """The execution that an event is of; the environment, outside of pipelines."""
    said = event.payload
    return f"{said.pipeline} #{said.number}" if said.pipeline else event.title


@dataclass
class Courier:
    """Tells what happens in an execution while a process drives it.

    Attributes:
        say: Takes a line when a destination cannot be told any more.
    """

    ledger: Ledger
    execution_id: str
    say: Say
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    EVERY: ClassVar[float] = 1.0
    """Seconds."""
    AT_THE_END: ClassVar[float] = 3.0
    """Seconds that the last words may take; later ones are left to reconciling."""

    def start(self) -> None:
        """Begin, where there is a Prefect API."""
        if not can_tell():
            return
        self.ledger.outbox.open(PREFECT, self.execution_id)
        context = copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="courier", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Tell what is left, unless that takes long."""
        self._done.set()
        if self._thread is not None:
            self._thread.join(2 * self.AT_THE_END)

    def _run(self) -> None:
        while not self._done.wait(self.EVERY):
            self._tell(self.EVERY)
        self._tell(self.AT_THE_END)

    def _tell(self, patience: float) -> None:
        try:
            tell_all(self.ledger, self.say, patience=patience)
        except LedgerError as error:
            _LOG.warning("nobody is told: %s", error)
