"""Executions out of their rows, with three queries however many there are."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import (
    ActionRun,
    ArtifactRef,
    Carried,
    Execution,
    StageRun,
    Status,
    Stop,
)
from prefect_delivery.ledger.tables import (
    action_runs,
    executions,
    pipelines,
    stage_runs,
)

AnyRow = Row[Any]


def all_executions() -> Select[Any]:
    """The query that `load` takes, to be narrowed and ordered."""
    return select(executions, pipelines.c.snapshot).join_from(executions, pipelines)


def load(connection: Connection, query: Select[Any]) -> list[Execution]:
    """Build the executions that `query` finds, in its order."""
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    if not ids:
        return []
    stages = _by_execution(
        connection.execute(
            select(stage_runs)
            .where(stage_runs.c.execution_id.in_(ids))
            .order_by(stage_runs.c.execution_id, stage_runs.c.position)
        ).all()
    )
    actions = _by_execution(
        connection.execute(
            select(action_runs)
            .where(action_runs.c.execution_id.in_(ids))
            .order_by(
                action_runs.c.execution_id,
                # Not by the clock, which may have been set back between two attempts.
                action_runs.c.attempt,
                action_runs.c.started,
            )
        ).all()
    )
    return [
        _execution(row, _stages(stages.get(row.id, []), actions.get(row.id, [])))
        for row in rows
    ]


def _by_execution(rows: Sequence[AnyRow]) -> dict[str, list[AnyRow]]:
    return {
        execution: list(group)
        for execution, group in groupby(rows, key=lambda row: row.execution_id)
    }


@lru_cache(maxsize=256)
def definition_of(snapshot: str) -> Pipeline:
    """The definition of a snapshot; many executions share one."""
    return Pipeline.model_validate_json(snapshot)


def _execution(row: AnyRow, stages: dict[str, StageRun]) -> Execution:
    return Execution(
        id=row.id,
        pipeline=row.pipeline,
        number=row.number,
        definition=definition_of(row.snapshot),
        status=Status(row.status),
        started=row.started,
        ended=row.ended,
        reason=row.reason,
        variables=row.variables,
        revisions=row.revisions,
        trigger=row.trigger,
        started_by=row.started_by,
        stages=stages,
        stop=_stop(row),
        only=None if row.only is None else tuple(row.only),
        carried=_carried(row.carried),
        flow_run=row.flow_run,
        deployed=row.deployed,
        untrusted=row.untrusted,
        fresh=row.fresh,
    )


def _carried(value: dict[str, Any] | None) -> Carried | None:
    if value is None:
        return None
    return Carried(**value | {"artifacts": _artifacts(value["artifacts"])})


def _artifacts(value: dict[str, dict[str, Any]]) -> dict[str, ArtifactRef]:
    return {name: ArtifactRef(**artifact) for name, artifact in value.items()}


def _stop(row: AnyRow) -> Stop | None:
    if row.stop_by is None:
        return None
    return Stop(
        by=row.stop_by,
        reason=row.stop_reason,
        abandon=row.stop_abandon,
        hold=bool(row.stop_hold),
    )


def _stages(stages: list[AnyRow], actions: list[AnyRow]) -> dict[str, StageRun]:
    runs: dict[str, dict[str, tuple[ActionRun, ...]]] = {}
    for row in actions:
        of_stage = runs.setdefault(row.stage, {})
        of_stage[row.action] = (*of_stage.get(row.action, ()), action_run(row))
    return {
        row.stage: StageRun(
            status=Status(row.status),
            started=row.started,
            ended=row.ended,
            reason=row.reason,
            actions=runs.get(row.stage, {}),
            baseline=row.baseline,
            overridden=row.overridden,
        )
        for row in stages
    }


def action_run(row: AnyRow) -> ActionRun:
    """An attempt at an action out of its row."""
    return ActionRun(
        attempt=row.attempt,
        status=Status(row.status),
        started=row.started,
        ended=row.ended,
        error=row.error,
        summary=row.summary,
        link=row.link,
        artifacts=_artifacts(row.artifacts),
        variables=row.variables,
        reports=row.reports,
        retryable=row.retryable,
        due=row.due,
    )
