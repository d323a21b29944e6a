"""The way into stages: their queues and their locks."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.gate import (
    Enter,
    Hold,
    Other,
    Superseded,
    Verdict,
    gate,
)
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger.claims import owned, title
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.groups import rivals_of, to_the_end, turn_of
from prefect_delivery.ledger.loading import definition_of
from prefect_delivery.ledger.records import Attempt
from prefect_delivery.ledger.tables import (
    action_runs,
    executions,
    pipelines,
    stage_runs,
)
from prefect_delivery.ledger.transitions import disabled_way, why
from prefect_delivery.ledger.waits import end_waits, note_wait


class Gates(Room):
    """How executions enter stages; one transaction looks and enters."""

    @writes
    def enter_stage(self, tx: Transaction, attempt: Attempt, stage: str) -> Verdict:
        """Begin a stage if its gate lets the execution in.

        Repeating it after it has entered changes nothing.

        Returns:
            What the gate says. After `Hold` the stage waits; after `Superseded` the
            execution has ended, or ends when it has left the stages that it is in.

        Raises:
            Refused: The stage has ended; `reopen` is what begins it again.
            LeaseLost: `attempt` owns the execution no more.
        """
        execution = owned(tx, attempt)
        run = _run(tx, execution.id, stage)
        if run is not None and run.status != Status.WAITING:
            if Status(run.status).ended:
                raise Refused(f"stage '{stage}' of {title(execution)} has ended")
            return Enter()
        verdict = verdict_of(tx.connection, execution, stage, tx.now)
        subject = f"{title(execution)} / {stage}"
        match verdict:
            case Enter(over=over):
                if over is not None:
                    _supersede_approval(tx, execution, stage, over, attempt.holder)
                _enter(tx, execution, stage, run)
                tx.audit(attempt.holder, "enter stage", subject)
            case Hold(reason=reason):
                if run is None or run.reason != reason:
                    _wait(tx, execution, stage, run, reason)
            case Superseded(by=newer):
                reason = f"superseded by #{newer} before {stage}"
                inside = _is_inside_of_another(tx, execution, stage)
                if inside:
                    # Superseding happens between stages: what is inside ends first.
                    values = {"status": Status.SUPERSEDED, "ended": tx.now}
                    _put(tx, execution, stage, run, **values, reason=reason)
                    end_waits(tx, execution.id, stage)
                else:
                    _end(tx, execution.id, reason)
                detail = {"by": newer, "ended": not inside}
                tx.audit(attempt.holder, "supersede", subject, **detail)
        return verdict

    def would_enter(self, execution_id: str, stage: str) -> Verdict:
        """What the gate of a stage would say now to an execution; changes nothing."""
        query = select(executions).where(executions.c.id == execution_id)
        with self._database.read() as connection:
            execution = connection.execute(query).one()
            now = self._database.time(connection)
            return verdict_of(connection, execution, stage, now)


def newer_in_stage(
    connection: Connection | Transaction, execution: Row[Any], stage: str
) -> int | None:
    """The newest execution after this one that has entered the stage, no rollback."""
    query = (
        select(executions.c.number)
        .join_from(executions, stage_runs)
        .where(
            executions.c.pipeline == execution.pipeline,
            executions.c.number > execution.number,
            or_(
                executions.c.carried.is_(None),
                executions.c.carried["purpose"].as_string() != "rollback",
            ),
            stage_runs.c.stage == stage,
            stage_runs.c.started.is_not(None),
        )
        .order_by(executions.c.number.desc())
        .limit(1)
    )
    found: int | None = connection.execute(query).scalar()
    return found


def goes_back(execution: Row[Any]) -> bool:
    """Whether an execution is a rollback; a promotion stands in line like any other."""
    carried = execution.carried
    return carried is not None and carried["purpose"] == "rollback"


def mode_of(tx: Transaction, execution: Row[Any]) -> str:
    """The mode that the execution's own definition says."""
    return _definition(tx, execution).mode


def _definition(connection: Connection | Transaction, execution: Row[Any]) -> Pipeline:
    keys = {"name": execution.pipeline, "digest": execution.definition_digest}
    query = select(pipelines.c.snapshot).filter_by(**keys)
    return definition_of(connection.execute(query).scalar_one())


def verdict_of(
    connection: Connection, execution: Row[Any], stage: str, now: datetime
) -> Verdict:
    """What the gate of a stage would say to an execution; changes nothing."""
    disabled = disabled_way(connection, execution.pipeline, stage)
    others = _open_others(connection, execution, stage)
    newer = newer_in_stage(connection, execution, stage)
    if newer is not None and newer not in {other.number for other in others}:
        others.append(Other(number=newer, place="through"))
    definition = _definition(connection, execution)
    group, mode = definition.stages[stage].concurrency_group, definition.mode
    rivals = (
        rivals_of(connection, execution, stage, group, mode=mode, now=now)
        if group
        else []
    )
    return gate(
        mode,
        execution.number,
        others,
        rivals=rivals,
        rollback=goes_back(execution),
        disabled=why(disabled) if disabled else None,
    )


def _open_others(
    connection: Connection, execution: Row[Any], stage: str
) -> list[Other]:
    query = (
        select(
            executions.c.id,
            executions.c.pipeline,
            executions.c.definition_digest,
            executions.c.number,
            executions.c.carried,
            executions.c.status.label("execution_status"),
            stage_runs.c.status,
        )
        .join_from(executions, stage_runs)
        .where(
            executions.c.pipeline == execution.pipeline,
            executions.c.id != execution.id,
            executions.c.ended.is_(None),
            stage_runs.c.stage == stage,
            stage_runs.c.status.in_([Status.WAITING, Status.IN_PROGRESS]),
        )
    )
    return [
        Other(
            number=row.number,
            place="before" if row.status == Status.WAITING else "inside",
            rollback=goes_back(row),
            undecided=row.execution_status == Status.WAITING,
            yields=_yields(connection, row, stage),
        )
        for row in connection.execute(query)
    ]


def _yields(connection: Connection, row: Row[Any], stage: str) -> bool:
    """Whether an execution only waits for an approval, which its stage lets go.

    Its own definition says so, and nothing else of it may run or run again.
    """
    if row.execution_status != Status.WAITING or row.status == Status.WAITING:
        return False
    if not _definition(connection, row).stages[stage].supersede_approvals:
        return False
    last = {
        (run.stage, run.action): run
        for run in connection.execute(
            select(action_runs)
            .filter_by(execution_id=row.id)
            .order_by(action_runs.c.attempt)
        )
    }
    mine = [run for key, run in last.items() if key[0] == stage]
    asked = [run for run in mine if run.status == Status.WAITING and run.due is None]
    rest = [run for run in mine if run not in asked]
    return (
        bool(asked)
        and all(run.status == Status.SUCCEEDED for run in rest)
        and not _is_inside_of_another(connection, row, stage)
    )


def _is_inside_of_another(
    connection: Connection | Transaction, execution: Row[Any], stage: str
) -> bool:
    query = select(stage_runs.c.stage).where(
        stage_runs.c.execution_id == execution.id,
        stage_runs.c.stage != stage,
        stage_runs.c.status == Status.IN_PROGRESS,
    )
    return connection.execute(query).first() is not None


def _run(tx: Transaction, execution_id: str, stage: str) -> Row[Any] | None:
    query = select(stage_runs).filter_by(execution_id=execution_id, stage=stage)
    return tx.execute(query).first()


def _enter(
    tx: Transaction, execution: Row[Any], stage: str, run: Row[Any] | None
) -> None:
    group = _definition(tx, execution).stages[stage].concurrency_group
    values = {"status": Status.IN_PROGRESS, "started": tx.now, "reason": None}
    _put(tx, execution, stage, run, **values, concurrency_group=group, turn=None)
    end_waits(tx, execution.id, stage)
    if group:
        to_the_end(tx.connection, execution, stage, group)


def _wait(
    tx: Transaction, execution: Row[Any], stage: str, run: Row[Any] | None, reason: str
) -> None:
    group = _definition(tx, execution).stages[stage].concurrency_group
    values: dict[str, Any] = {"status": Status.WAITING, "reason": reason}
    if group:
        turn = turn_of(tx.connection, execution, stage, group)
        values |= {"concurrency_group": group, "turn": turn}
    _put(tx, execution, stage, run, **values)
    frozen = disabled_way(tx, execution.pipeline, stage) is not None
    note_wait(tx, execution.id, stage, "transition" if frozen else "lock", reason)


def _put(
    tx: Transaction,
    execution: Row[Any],
    stage: str,
    known: Row[Any] | None,
    **values: object,
) -> None:
    if known is not None:
        keys = {"execution_id": execution.id, "stage": stage}
        tx.execute(update(stage_runs).filter_by(**keys).values(**values))
        return
    earlier = select(stage_runs.c.stage).filter_by(execution_id=execution.id)
    tx.execute(
        insert(stage_runs).values(
            execution_id=execution.id,
            stage=stage,
            position=len(tx.execute(earlier).all()) + 1,
            baseline={},
            overridden={},
            **values,
        )
    )


def _supersede_approval(
    tx: Transaction, execution: Row[Any], stage: str, older: int, by: str
) -> None:
    """End an execution that waits for an approval in a stage that we enter."""
    query = select(executions).filter_by(pipeline=execution.pipeline, number=older)
    row = tx.execute(query).one()
    reason = f"superseded by #{execution.number} in {stage}"
    asking = action_runs.c.execution_id == row.id, action_runs.c.ended.is_(None)
    actions = tx.execute(select(action_runs.c.action).where(*asking)).scalars()
    detail = {"by": execution.number, "ended": True, "actions": sorted(actions)}
    values = {"status": Status.STOPPED, "ended": tx.now, "error": reason}
    change = update(action_runs).where(*asking)
    tx.execute(change.values(**values, retryable=False))
    _end(tx, row.id, reason)
    tx.audit(by, "supersede", f"{title(row)} / {stage}", **detail)


def _end(tx: Transaction, execution_id: str, reason: str) -> None:
    values = {"status": Status.SUPERSEDED, "ended": tx.now, "reason": reason}
    tx.execute(
        update(stage_runs)
        .where(stage_runs.c.execution_id == execution_id, stage_runs.c.ended.is_(None))
        .values(**values)
    )
    tx.execute(
        update(executions).where(executions.c.id == execution_id).values(**values)
    )
    end_waits(tx, execution_id)
