"""What forges were told about executions, so that they are told what is new."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, or_, select

from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Told
from prefect_delivery.ledger.tables import executions, statuses


class Statuses(Room):
    """The commit statuses of executions, as forges have them."""

    def unsettled(
        self, *, days: float, limit: int
    ) -> list[tuple[str, datetime | None]]:
        """Executions whose statuses may be old: open ones, and recent ones.

        Returns:
            Id and end of each; the newest first.
        """
        with self._database.read() as connection:
            since = self._database.time(connection) - timedelta(days=days)
            query = (
                select(executions.c.id, executions.c.ended)
                .where(executions.c.carried.is_(None))
                .where(or_(executions.c.ended.is_(None), executions.c.ended >= since))
                .order_by(executions.c.started.desc())
                .limit(limit)
            )
            return [(row.id, row.ended) for row in connection.execute(query)]

    def told(self, execution_id: str) -> Mapping[str, Told]:
        """What was told of an execution, by context."""
        query = select(statuses).filter_by(execution_id=execution_id)
        with self._database.read() as connection:
            now = self._database.time(connection)
            return {
                row.context: Told(
                    said=row.said,
                    tries=row.tries,
                    error=row.error,
                    due=row.due is None or row.due <= now,
                )
                for row in connection.execute(query)
            }

    @writes
    def note(
        self,
        tx: Transaction,
        execution_id: str,
        context: str,
        *,
        said: str,
        tries: int = 0,
        error: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Note what a forge was told, or why it could not be.

        Args:
            said: What it has now.
            tries: How often it could not be told what is newer.
            seconds: Until it is tried again.
        """
        key = {"execution_id": execution_id, "context": context}
        tx.execute(delete(statuses).filter_by(**key))
        due = None if seconds is None else tx.now + timedelta(seconds=seconds)
        values = {"said": said, "tries": tries, "error": error, "due": due}
        tx.execute(insert(statuses).values(**key, **values))
