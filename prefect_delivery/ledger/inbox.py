"""What webhooks brought: durable before the sender is answered, and never taken twice."""

import builtins
from datetime import timedelta
from typing import Literal

from sqlalchemy import delete, func, insert, or_, select, update

from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Message
from prefect_delivery.ledger.tables import inbox

Taken = Literal["accepted", "known", "full"]


class Inbox(Room):
    """Deliveries that were accepted, and what became of them."""

    @writes
    def accept(
        self,
        tx: Transaction,
        connection: str,
        *,
        delivery: str,
        digest: str,
        changes: str,
        most: int,
    ) -> Taken:
        """Keep a delivery, unless it is here already or too many wait.

        Args:
            delivery: Its id, as the sender says; may be forged, so the digest counts too.
            digest: Of its body.
            changes: What it tells of, as JSON.
            most: Deliveries that may wait.
        """
        same = or_(inbox.c.delivery == delivery, inbox.c.digest == digest)
        query = select(inbox.c.position).where(inbox.c.connection == connection, same)
        if tx.execute(query).first():
            return "known"
        waiting = select(func.count()).where(inbox.c.due.is_not(None))
        if (tx.execute(waiting).scalar() or 0) >= most:
            return "full"
        last = tx.execute(select(func.max(inbox.c.position))).scalar() or 0
        tx.execute(
            insert(inbox).values(
                position=last + 1,
                connection=connection,
                delivery=delivery,
                digest=digest,
                changes=changes,
                received=tx.now,
                tries=0,
                due=tx.now,
            )
        )
        return "accepted"

    def due(self, *, limit: int) -> builtins.list[Message]:
        """What is to be carried out now, the oldest first."""
        with self._database.read() as connection:
            now = self._database.time(connection)
            query = (
                select(inbox)
                .where(inbox.c.due <= now)
                .order_by(inbox.c.position)
                .limit(limit)
            )
            return [
                Message(
                    position=row.position,
                    connection=row.connection,
                    delivery=row.delivery,
                    changes=row.changes,
                    tries=row.tries,
                    received=row.received,
                )
                for row in connection.execute(query)
            ]

    @writes
    def done(self, tx: Transaction, position: int, outcome: str) -> None:
        """Note what became of a delivery."""
        values = {"due": None, "outcome": outcome}
        tx.execute(update(inbox).filter_by(position=position).values(values))

    @writes
    def later(
        self, tx: Transaction, position: int, reason: str, *, seconds: float
    ) -> None:
        """Note why a delivery could not be carried out now; it is due again later."""
        values = {
            "due": tx.now + timedelta(seconds=seconds),
            "outcome": reason,
            "tries": inbox.c.tries + 1,
        }
        tx.execute(update(inbox).filter_by(position=position).values(values))

    @writes
    def forget(self, tx: Transaction, *, days: float) -> int:
        """Remove what is done and older; says how much that was."""
        old = inbox.c.received < tx.now - timedelta(days=days)
        return tx.execute(delete(inbox).where(inbox.c.due.is_(None), old)).rowcount

    def waiting(self) -> int:
        """How many deliveries are not carried out yet."""
        query = select(func.count()).where(inbox.c.due.is_not(None))
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0

    def outcomes(self) -> builtins.list[tuple[str, str | None]]:
        """Id and outcome of every delivery, the oldest first; None for none yet."""
        query = select(inbox.c.delivery, inbox.c.outcome).order_by(inbox.c.position)
        with self._database.read() as connection:
            return [(row.delivery, row.outcome) for row in connection.execute(query)]
