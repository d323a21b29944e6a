"""What actions have left, by a key for all that they depended on."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from prefect_delivery.engine.state import ActionRun, Status
from prefect_delivery.ledger import loading
from prefect_delivery.ledger.database import Room
from prefect_delivery.ledger.tables import action_runs, executions


@dataclass(frozen=True, kw_only=True)
class Cached:
    """An attempt that would leave the same again.

    Attributes:
        title: Of its execution, such as `shop #41`.
    """

    title: str
    run: ActionRun


class Cache(Room):
    """Attempts that need not be repeated."""

    def find(self, pipeline: str, keys: Collection[str]) -> Cached | None:
        """The newest attempt with one of `keys` that has succeeded in a pipeline."""
        query = (
            select(action_runs, executions.c.number)
            .join_from(
                action_runs, executions, action_runs.c.execution_id == executions.c.id
            )
            .where(
                executions.c.pipeline == pipeline,
                action_runs.c.cache_key.in_(keys),
                action_runs.c.status == Status.SUCCEEDED,
            )
            .order_by(executions.c.number.desc(), action_runs.c.attempt.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return Cached(title=f"{pipeline} #{row.number}", run=loading.action_run(row))
