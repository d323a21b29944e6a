"""The way into stages: their queues, their locks and their transitions."""

import builtins
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

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
from prefect_delivery.ledger.loading import definition_of
from prefect_delivery.ledger.records import Attempt, Transition
from prefect_delivery.ledger.tables import (
    executions,
    pipelines,
    stage_runs,
    transitions,
)


class Gates(Room):
    """How executions enter stages; one transaction looks and enters."""

    @writes
    def enter_stage(self, tx: Transaction, attempt: Attempt, stage: str) -> Verdict:
        """Begin a stage if its gate lets the execution in.

        Repeating it after it has entered changes nothing.

        Returns:
            What the gate says. After `Hold` the stage waits; after `Superseded` the
            execution has ended.

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
        verdict = _ask(tx, execution, stage)
        subject = f"{title(execution)} / {stage}"
        match verdict:
            case Enter():
                values = {"status": Status.IN_PROGRESS, "started": tx.now}
                _put(tx, execution.id, stage, run, **values, reason=None)
                tx.audit(attempt.holder, "enter stage", subject)
            case Hold(reason=reason):
                if run is None or run.reason != reason:
                    values = {"status": Status.WAITING, "reason": reason}
                    _put(tx, execution.id, stage, run, **values)
            case Superseded(by=newer):
                reason = f"superseded by #{newer} before {stage}"
                _end(tx, execution.id, reason)
                tx.audit(attempt.holder, "supersede", subject, by=newer)
        return verdict


class Transitions(Room):
    """Ways into stages that somebody has disabled."""

    @writes
    def disable(
        self, tx: Transaction, pipeline: str, stage: str, *, by: str, reason: str
    ) -> None:
        """Let no execution into a stage until it is enabled again.

        Raises:
            Refused: It is disabled already; says by whom and why.
        """
        if known := _disabled(tx, pipeline, stage):
            raise Refused(f"the way into {stage} of {pipeline} {_why(known)}")
        tx.execute(
            insert(transitions).values(
                pipeline=pipeline,
                stage=stage,
                disabled_by=by,
                reason=reason,
                disabled=tx.now,
            )
        )
        tx.audit(by, "disable transition", f"{pipeline} / {stage}", reason=reason)

    @writes
    def enable(self, tx: Transaction, pipeline: str, stage: str, *, by: str) -> None:
        """Let executions in again; the newest that waits goes first.

        Raises:
            Refused: It is not disabled.
        """
        if not _disabled(tx, pipeline, stage):
            raise Refused(f"the way into {stage} of {pipeline} is not disabled")
        tx.execute(delete(transitions).filter_by(pipeline=pipeline, stage=stage))
        tx.audit(by, "enable transition", f"{pipeline} / {stage}")

    def list(self, pipeline: str) -> builtins.list[Transition]:
        """The disabled transitions of a pipeline."""
        query = select(transitions).filter_by(pipeline=pipeline)
        with self._database.read() as connection:
            return [
                Transition(
                    pipeline=row.pipeline,
                    stage=row.stage,
                    by=row.disabled_by,
                    reason=row.reason,
                    disabled=row.disabled,
                )
                for row in connection.execute(query)
            ]


def newer_in_stage(tx: Transaction, execution: Row[Any], stage: str) -> int | None:
    """The newest execution after this one that has entered the stage, no rollback."""
    query = (
        select(executions.c.number)
        .join_from(executions, stage_runs)
        .where(
            executions.c.pipeline == execution.pipeline,
            executions.c.number > execution.number,
            executions.c.carried.is_(None),
            stage_runs.c.stage == stage,
            stage_runs.c.started.is_not(None),
        )
        .order_by(executions.c.number.desc())
        .limit(1)
    )
    found: int | None = tx.execute(query).scalar()
    return found


def mode_of(tx: Transaction, execution: Row[Any]) -> str:
    """The mode that the execution's own definition says."""
    keys = {"name": execution.pipeline, "digest": execution.definition_digest}
    snapshot = tx.execute(select(pipelines.c.snapshot).filter_by(**keys)).scalar_one()
    return definition_of(snapshot).mode


def _ask(tx: Transaction, execution: Row[Any], stage: str) -> Verdict:
    disabled = _disabled(tx, execution.pipeline, stage)
    others = _open_others(tx, execution, stage)
    newer = newer_in_stage(tx, execution, stage)
    if newer is not None and newer not in {other.number for other in others}:
        others.append(Other(number=newer, place="through"))
    return gate(
        mode_of(tx, execution),  # type: ignore[arg-type]  # a model has checked it
        execution.number,
        others,
        rollback=execution.carried is not None,
        disabled=_why(disabled) if disabled else None,
    )


def _open_others(tx: Transaction, execution: Row[Any], stage: str) -> list[Other]:
    query = (
        select(
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
            rollback=row.carried is not None,
            undecided=row.execution_status == Status.WAITING,
        )
        for row in tx.execute(query)
    ]


def _disabled(tx: Transaction, pipeline: str, stage: str) -> Row[Any] | None:
    query = select(transitions).filter_by(pipeline=pipeline, stage=stage)
    return tx.execute(query).first()


def _why(row: Row[Any]) -> str:
    said = f": {row.reason}" if row.reason else ""
    return f"was disabled by {row.disabled_by}{said}"


def _run(tx: Transaction, execution_id: str, stage: str) -> Row[Any] | None:
    query = select(stage_runs).filter_by(execution_id=execution_id, stage=stage)
    return tx.execute(query).first()


def _put(
    tx: Transaction,
    execution_id: str,
    stage: str,
    known: Row[Any] | None,
    **values: object,
) -> None:
    if known is not None:
        keys = {"execution_id": execution_id, "stage": stage}
        tx.execute(update(stage_runs).filter_by(**keys).values(**values))
        return
    earlier = select(stage_runs.c.stage).filter_by(execution_id=execution_id)
    tx.execute(
        insert(stage_runs).values(
            execution_id=execution_id,
            stage=stage,
            position=len(tx.execute(earlier).all()) + 1,
            baseline={},
            overridden={},
            **values,
        )
    )


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
