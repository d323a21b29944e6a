"""Concurrency groups: stages of many pipelines that take turns.

The line before a group holds stages, not executions: all that waits before one stage of
a pipeline shares one turn, and a newer execution that supersedes an older one keeps it.
A stage that had its turn goes to the end of the line. So a pipeline that runs every
minute keeps nobody out, and nobody keeps it out.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from prefect_delivery.engine.gate import Rival
from prefect_delivery.engine.state import Status
from prefect_delivery.ledger.tables import executions, stage_runs, transitions

_OPEN = [Status.WAITING, Status.IN_PROGRESS]


def turn_of(connection: Connection, execution: Row[Any], stage: str, group: str) -> int:
    """The turn of an execution that waits before a stage; known, shared, or the last."""
    waits = [row for row in _open(connection, group) if row.status == Status.WAITING]
    shared = [
        row.turn
        for row in waits
        if (row.pipeline, row.stage) == (execution.pipeline, stage) and row.turn
    ]
    return min(shared, default=_last(connection, group) + 1)


def to_the_end(
    connection: Connection, execution: Row[Any], stage: str, group: str
) -> None:
    """Put all that still waits before a stage behind what waits before others."""
    same = select(executions.c.id).where(executions.c.pipeline == execution.pipeline)
    connection.execute(
        update(stage_runs)
        .where(
            stage_runs.c.concurrency_group == group,
            stage_runs.c.status == Status.WAITING,
            stage_runs.c.stage == stage,
            stage_runs.c.execution_id.in_(same),
        )
        .values(turn=_last(connection, group) + 1)
    )


def rivals_of(
    connection: Connection,
    execution: Row[Any],
    stage: str,
    group: str,
    *,
    mode: str,
    now: datetime,
) -> list[Rival]:
    """Who is in other stages of the group, or waits for them, those inside first.

    What waits before a disabled transition, or has lost its process, keeps its turn but
    nobody up. In a parallel pipeline executions of the same stage are rivals, too.
    """
    own = turn_of(connection, execution, stage, group)
    found = []
    for row in _open(connection, group):
        same = (row.pipeline, row.stage) == (execution.pipeline, stage)
        if row.id == execution.id and row.stage == stage:
            continue
        if same and mode != "parallel":
            continue
        inside = row.status == Status.IN_PROGRESS
        lost = row.expires is not None and row.expires <= now
        if not inside and (row.turn is None or row.closed or lost):
            continue
        first = row.number < execution.number if same else (row.turn or 0) < own
        found.append(
            Rival(
                title=f"{row.pipeline} #{row.number} / {row.stage}",
                place="inside" if inside else "before",
                first=not inside and first,
            )
        )
    return sorted(found, key=lambda rival: rival.place, reverse=True)


def _open(connection: Connection, group: str) -> list[Row[Any]]:
    disabled = and_(
        transitions.c.pipeline == executions.c.pipeline,
        transitions.c.stage == stage_runs.c.stage,
    )
    query = (
        select(
            executions.c.id,
            executions.c.pipeline,
            executions.c.number,
            executions.c.expires,
            stage_runs.c.stage,
            stage_runs.c.status,
            stage_runs.c.turn,
            transitions.c.stage.label("closed"),
        )
        .select_from(stage_runs)
        .join(executions, executions.c.id == stage_runs.c.execution_id)
        .outerjoin(transitions, disabled)
        .where(
            stage_runs.c.concurrency_group == group,
            stage_runs.c.status.in_(_OPEN),
            executions.c.ended.is_(None),
        )
        .order_by(stage_runs.c.turn, executions.c.number)
    )
    return list(connection.execute(query))


def _last(connection: Connection, group: str) -> int:
    query = select(func.max(stage_runs.c.turn)).where(
        stage_runs.c.concurrency_group == group, stage_runs.c.status.in_(_OPEN)
    )
    return connection.execute(query).scalar() or 0
