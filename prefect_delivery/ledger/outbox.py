"""Who outside has heard of what: for each destination, a place in the audit log.

Every change writes to the audit log in its own transaction, so the log is the outbox:
nothing is kept twice, and nothing can be left out. One sender at a time has a
destination's turn, so that each destination hears of things in their order.
"""

import builtins
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, update

from prefect_delivery.errors import LeaseLost
from prefect_delivery.ledger.audit import entry_of
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Destination, Entry, Turn, later, never
from prefect_delivery.ledger.tables import audit, executions, outbox

GIVEN_UP: Final = "give up telling"
"""Of the audit log: that a destination will never hear of something."""


class Outbox(Room):
    """Destinations, and how far each of them has heard of the audit log."""

    @writes
    def open(self, tx: Transaction, destination: str, execution_id: str) -> None:
        """Have a destination hear of all from an execution's start on, if it is new."""
        known = select(outbox.c.token).filter_by(destination=destination)
        if tx.execute(known).first() is not None:
            return  # what follows looks through the whole log
        row = tx.execute(select(executions).filter_by(id=execution_id)).one()
        started = select(func.min(audit.c.seq)).where(
            audit.c.verb == "start execution",
            audit.c.subject == f"{row.pipeline} #{row.number}",
        )
        open_places(tx, [destination], (tx.execute(started).scalar() or 1) - 1)

    def list(self) -> builtins.list[Destination]:
        """Every destination, by name."""
        with self._database.read() as connection:
            now = self._database.time(connection)
            newest = connection.execute(select(func.max(audit.c.seq))).scalar() or 0
            rows = connection.execute(select(outbox).order_by(outbox.c.destination))
            return [_destination(row, newest, now) for row in rows]

    def entries(
        self, after: int, *, limit: int, verbs: Collection[str]
    ) -> tuple[builtins.list[Entry], int]:
        """Entries of some verbs, the oldest first, and how far that looked.

        Args:
            after: Number of the entry before the first.
            limit: Of all entries that are looked at.
        """
        query = (
            select(audit)
            .where(audit.c.seq > after, audit.c.seq <= after + limit)
            .order_by(audit.c.seq)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = [entry_of(row) for row in rows if row.verb in verbs]
        return found, rows[-1].seq if rows else after

    @writes
    def take(
        self,
        tx: Transaction,
        destination: str,
        *,
        holder: str,
        ttl: float,
        dead: Callable[[str], bool] = never,
    ) -> Turn | None:
        """Take the turn to tell a destination.

        Args:
            ttl: Seconds until somebody else may take it, unless something is told.
            dead: Whether a holder is certainly gone; its turn is taken over at once.

        Returns:
            None when another sender has the turn, or it is not time to try again.
        """
        row = tx.execute(select(outbox).filter_by(destination=destination)).one()
        if row.due is not None and row.due > tx.now:
            return None
        if row.holder and row.expires > tx.now and not dead(row.holder):
            return None
        turn = Turn(
            destination=destination,
            token=row.token + 1,
            position=row.position,
            tries=row.tries,
            ttl=ttl,
        )
        expires = later(tx.now, ttl)
        _set(tx, destination, token=turn.token, holder=holder, expires=expires)
        return turn

    @writes
    def told(self, tx: Transaction, turn: Turn, position: int) -> None:
        """Note that a destination has heard of everything up to an entry.

        Raises:
            LeaseLost: Another sender has the turn.
        """
        _check(tx, turn)
        well = {"tries": 0, "due": None, "error": None, "since": None}
        expires = later(tx.now, turn.ttl)
        _set(tx, turn.destination, position=position, expires=expires, **well)

    @writes
    def passed(self, tx: Transaction, turn: Turn, position: int) -> None:
        """Note that there was nothing to tell up to an entry; see `told`."""
        _check(tx, turn)
        _set(tx, turn.destination, position=position, expires=later(tx.now, turn.ttl))

    @writes
    def give_up(
        self, tx: Transaction, turn: Turn, position: int, *, subject: str, reason: str
    ) -> None:
        """Pass by an entry for good, and say so in the audit log; see `told`."""
        row = _check(tx, turn)
        _set(tx, turn.destination, position=position, expires=later(tx.now, turn.ttl))
        detail = {"to": turn.destination, "entry": position, "reason": reason}
        tx.audit(row.holder, GIVEN_UP, subject, **detail)

    @writes
    def failed(
        self, tx: Transaction, turn: Turn, reason: str, *, seconds: float
    ) -> None:
        """Note why a destination could not be told, and give the turn back.

        Args:
            seconds: Until it is tried again.

        Raises:
            LeaseLost: Another sender has the turn.
        """
        row = _check(tx, turn)
        _set(
            tx,
            turn.destination,
            tries=row.tries + 1,
            error=reason,
            due=tx.now + timedelta(seconds=seconds),
            since=row.since or tx.now,
            holder=None,
            expires=None,
        )

    @writes
    def leave(self, tx: Transaction, turn: Turn) -> None:
        """Give the turn back; nothing happens when it was lost before."""
        keys = {"destination": turn.destination, "token": turn.token}
        change = update(outbox).filter_by(**keys)
        tx.execute(change.values(holder=None, expires=None))

    def given_up(self, *, limit: int) -> builtins.list[Entry]:
        """The newest entries that say what was given up, the newest first."""
        query = select(audit).filter_by(verb=GIVEN_UP).order_by(audit.c.seq.desc())
        with self._database.read() as connection:
            return [entry_of(row) for row in connection.execute(query.limit(limit))]


def open_places(
    tx: Transaction, destinations: Collection[str], position: int | None = None
) -> None:
    """Have destinations, those that are new, hear of all after an entry.

    Args:
        position: Number of that entry; the newest by default.
    """
    if not destinations:
        return
    there = select(outbox.c.destination).where(outbox.c.destination.in_(destinations))
    known = set(tx.execute(there).scalars())
    if position is None:
        position = tx.execute(select(func.max(audit.c.seq))).scalar() or 0
    for name in destinations:
        if name not in known:
            values = {"destination": name, "position": position, "tries": 0, "token": 0}
            tx.execute(insert(outbox).values(values))


def _check(tx: Transaction, turn: Turn) -> Row[Any]:
    row = tx.execute(select(outbox).filter_by(destination=turn.destination)).one()
    if row.token != turn.token or row.holder is None:
        raise LeaseLost(f"another sender tells {turn.destination}")
    return row


def _set(tx: Transaction, destination: str, **values: object) -> None:
    tx.execute(update(outbox).filter_by(destination=destination).values(**values))


def _destination(row: Row[Any], newest: int, now: datetime) -> Destination:
    return Destination(
        name=row.destination,
        position=row.position,
        behind=newest - row.position,
        tries=row.tries,
        error=row.error,
        since=row.since,
        due=row.due is None or row.due <= now,
    )
