"""Changes that came from outside: what each started, or why it started nothing."""

import builtins
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.executions import begin
from prefect_delivery.ledger.records import NotedChange
from prefect_delivery.ledger.tables import changes, executions, watched


class Changes(Room):
    """Every change that came for a pipeline, and what sources were last seen at."""

    @writes
    def start(
        self,
        tx: Transaction,
        definition: Pipeline,
        *,
        change: str,
        line: str,
        revision: str,
        after: str | None,
        variables: dict[str, str],
        revisions: dict[str, str],
        trigger: str,
        started_by: str,
        untrusted: bool = False,
    ) -> Execution | None:
        """Start an execution for a change, which becomes the newest of its line.

        In one step: of two changes that come at once, the later start is of the newer.

        Args:
            change: Its key; the same change is never noted twice.
            line: What it is a change of, such as a branch.
            after: The line's newest revision, as it was when this one was found newer.
            untrusted: Whether it is of a pull request.

        Returns:
            None when that is no longer the newest, or the change is noted already.
        """
        name = definition.pipeline
        known = select(changes.c.change).filter_by(pipeline=name, change=change)
        if tx.execute(known).first() or _newest(tx, name, line) != after:
            return None
        execution = begin(
            tx,
            definition,
            variables=variables,
            revisions=revisions,
            trigger=trigger,
            started_by=started_by,
            key=change,
            untrusted=untrusted,
        )
        values = {"execution_id": execution.id, "revision": revision, "line": line}
        _note(tx, name, change, values)
        return execution

    @writes
    def ignore(
        self,
        tx: Transaction,
        pipeline: str,
        *,
        change: str,
        line: str,
        revision: str,
        reason: str,
    ) -> None:
        """Note why a change starts nothing, unless it is noted already."""
        known = select(changes.c.change).filter_by(pipeline=pipeline, change=change)
        if tx.execute(known).first():
            return
        _note(
            tx,
            pipeline,
            change,
            {"reason": reason, "revision": revision, "line": line},
        )
        tx.audit(this_holder(), "ignore change", pipeline, change=change, reason=reason)

    def find(self, pipeline: str, change: str) -> NotedChange | None:
        """What became of a change; None when it has not come yet."""
        query = select(changes).filter_by(pipeline=pipeline, change=change)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _noted(row) if row else None

    def newest(self, pipeline: str, line: str) -> str | None:
        """The revision of a line that was started last."""
        with self._database.read() as connection:
            return _newest(connection, pipeline, line)

    def list(
        self, pipeline: str | None = None, *, limit: int = 20
    ) -> builtins.list[NotedChange]:
        """What came last, the newest first."""
        query = select(changes).order_by(changes.c.position.desc()).limit(limit)
        if pipeline is not None:
            query = query.filter_by(pipeline=pipeline)
        with self._database.read() as connection:
            return [_noted(row) for row in connection.execute(query)]

    def not_taken_up(self) -> builtins.list[str]:
        """Ids of executions that a change started and no run has taken yet."""
        query: Select[Any] = (
            select(executions.c.id)
            .join_from(changes, executions)
            .where(executions.c.ended.is_(None), executions.c.attempt == 0)
            .order_by(changes.c.position)
        )
        with self._database.read() as connection:
            return [*connection.scalars(query)]

    def seen(self, source: str) -> dict[str, str]:
        """The revisions that a source was last seen at, by ref."""
        query = select(watched.c.ref, watched.c.revision).filter_by(source=source)
        with self._database.read() as connection:
            return {row.ref: row.revision for row in connection.execute(query)}

    @writes
    def see(self, tx: Transaction, source: str, refs: Mapping[str, str | None]) -> None:
        """Note at what revision a source is seen now; None for a ref that is gone."""
        for ref, revision in refs.items():
            tx.execute(delete(watched).filter_by(source=source, ref=ref))
            if revision is not None:
                values = {"source": source, "ref": ref, "revision": revision}
                tx.execute(insert(watched).values(**values, seen=tx.now))


def _newest(
    connection: Connection | Transaction, pipeline: str, line: str
) -> str | None:
    query = (
        select(changes.c.revision)
        .filter_by(pipeline=pipeline, line=line)
        .where(changes.c.execution_id.is_not(None))
        .order_by(changes.c.position.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else str(row.revision)


def _note(
    tx: Transaction, pipeline: str, change: str, values: Mapping[str, object]
) -> None:
    last = tx.execute(select(func.max(changes.c.position))).scalar() or 0
    tx.execute(
        insert(changes).values(
            pipeline=pipeline,
            change=change,
            position=last + 1,
            noted=tx.now,
            **values,
        )
    )


def _noted(row: Row[Any]) -> NotedChange:
    return NotedChange(
        pipeline=row.pipeline,
        change=row.change,
        revision=row.revision,
        execution_id=row.execution_id,
        reason=row.reason,
        noted=row.noted,
    )
