"""Actions that run elsewhere: what they are given, what they say, what they leave.

Whoever starts such an action offers its call under a ticket. The one process that shows
the ticket first takes the call, and speaks for the action from then on by a token of its
own. So what was handed to the infrastructure, and can be read there, is good for nothing
once the action has begun.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from prefect_delivery.engine.state import Status
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.tables import action_runs, remote_actions, remote_lines

ENDED = "the action has ended"


@dataclass(frozen=True, kw_only=True)
class RemoteAction:
    """An action that runs elsewhere, as it stands.

    Attributes:
        key: `Job.key` of the attempt.
        call: What it is given, as JSON.
        taken: Whether a process has taken the call.
        kept: Digests of the artifacts that it has stored.
        silent: Seconds since it was heard of.
        outcome: What it left, as JSON; None while it goes on.
    """

    key: str
    call: str
    taken: bool
    kept: frozenset[str]
    silent: float
    outcome: str | None


class RemoteActions(Room):
    """Every action that runs, or has run of late, on a work pool of its own."""

    @writes
    def offer(self, tx: Transaction, key: str, call: str) -> str | None:
        """Offer a call, once.

        Returns:
            The ticket that it is taken with; None when it was taken already.
        """
        query = select(remote_actions.c.ticket).filter_by(key=key)
        if known := tx.execute(query).one_or_none():
            ticket: str | None = known.ticket
            return ticket
        new = token_urlsafe(32)
        tx.execute(
            insert(remote_actions).values(
                key=key, call=call, ticket=new, kept=[], beats=0, seen=tx.now
            )
        )
        return new

    @writes
    def take(self, tx: Transaction, ticket: str, token: str) -> RemoteAction | None:
        """Take what is offered under a ticket, which is used up by that.

        Args:
            token: By which the taker is known from then on; only its hash is kept.

        Returns:
            None when nothing is offered under it, or not any more.
        """
        row = tx.execute(select(remote_actions).filter_by(ticket=ticket)).one_or_none()
        if row is None or _why_to_end(tx, row):
            return None
        values = {"ticket": None, "token": _hash(token), "seen": tx.now}
        tx.execute(update(remote_actions).filter_by(key=row.key).values(values))
        tx.audit("remote action", "take action", row.key)
        return _read(row, tx.now)

    def of(self, token: str) -> RemoteAction | None:
        """The action that goes on under a token; None when there is none any more."""
        query = select(remote_actions).filter_by(token=_hash(token), outcome=None)
        return self._one(query)

    def find(self, key: str) -> RemoteAction | None:
        """The action of an attempt's key."""
        return self._one(select(remote_actions).filter_by(key=key))

    @writes
    def hear(
        self, tx: Transaction, token: str, beat: int, lines: Sequence[str]
    ) -> str | None:
        """Note that an action is alive, and what it has logged.

        Args:
            beat: Number of the call, from 1; one that was heard before adds nothing.

        Returns:
            Why it is to end; None to go on.
        """
        query = select(remote_actions).filter_by(token=_hash(token), outcome=None)
        row = tx.execute(query).one_or_none()
        if row is None:
            return ENDED
        known = update(remote_actions).filter_by(key=row.key)
        tx.execute(known.values(seen=tx.now, beats=max(beat, row.beats)))
        if lines and beat > row.beats:
            values = {"key": row.key, "beat": beat, "lines": [*lines]}
            tx.execute(insert(remote_lines).values(values))
        return _why_to_end(tx, row)

    @writes
    def keep(self, tx: Transaction, token: str, digest: str) -> None:
        """Note an artifact that an action has stored."""
        query = select(remote_actions).filter_by(token=_hash(token), outcome=None)
        if row := tx.execute(query).one_or_none():
            kept = sorted({*row.kept, digest})
            change = update(remote_actions).filter_by(key=row.key)
            tx.execute(change.values(kept=kept, seen=tx.now))

    @writes
    def finish(self, tx: Transaction, token: str, outcome: str) -> bool:
        """Note what an action leaves; its token ends with that.

        Returns:
            False when it has ended before, with the same outcome or another.
        """
        change = update(remote_actions).filter_by(token=_hash(token), outcome=None)
        return tx.execute(change.values(outcome=outcome, seen=tx.now)).rowcount == 1

    @writes
    def cancel(self, tx: Transaction, key: str, reason: str) -> None:
        """Have an action told to end; one that was not taken yet cannot be any more."""
        change = update(remote_actions).filter_by(key=key, cancelled=None)
        tx.execute(change.values(cancelled=reason))

    def lines(self, key: str) -> list[tuple[int, str]]:
        """What an action has logged and nobody has passed on, with numbers of beats."""
        query = select(remote_lines).filter_by(key=key).order_by(remote_lines.c.beat)
        with self._database.read() as connection:
            rows = connection.execute(query)
            return [(row.beat, line) for row in rows for line in row.lines]

    @writes
    def passed_on(self, tx: Transaction, key: str, beat: int) -> None:
        """Give up what was logged up to a beat."""
        old = remote_lines.c.beat <= beat
        tx.execute(delete(remote_lines).filter_by(key=key).where(old))

    @writes
    def tell(self, tx: Transaction, key: str, summary: str | None) -> None:
        """Say in a line how an action that goes on stands, such as what it waits for."""
        change = update(action_runs).where(*_at(key))
        open_ = action_runs.c.status == Status.IN_PROGRESS
        tx.execute(change.where(open_).values(summary=summary))

    @writes
    def forget(self, tx: Transaction, *, days: float) -> int:
        """Remove what was not heard of for longer; says how much that was."""
        old = remote_actions.c.seen < tx.now - timedelta(days=days)
        keys = select(remote_actions.c.key).where(old)
        tx.execute(delete(remote_lines).where(remote_lines.c.key.in_(keys)))
        return tx.execute(delete(remote_actions).where(old)).rowcount

    def _one(self, query: Any) -> RemoteAction | None:
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            return _read(row, self._database.time(connection))


def _read(row: Row[Any], now: Any) -> RemoteAction:
    return RemoteAction(
        key=row.key,
        call=row.call,
        taken=row.token is not None,
        kept=frozenset(row.kept),
        silent=(now - row.seen).total_seconds(),
        outcome=row.outcome,
    )


def _why_to_end(tx: Transaction, row: Row[Any]) -> str | None:
    """Nobody may be left to say it: an attempt that was closed has ended too."""
    query = select(action_runs.c.status).where(*_at(row.key))
    if tx.execute(query).scalar() != Status.IN_PROGRESS:
        return ENDED
    reason: str | None = row.cancelled
    return reason


def _at(key: str) -> tuple[Any, ...]:
    execution, stage, action, attempt = key.split("/")
    run = action_runs.c
    return (
        run.execution_id == execution,
        run.stage == stage,
        run.action == action,
        run.attempt == int(attempt),
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
