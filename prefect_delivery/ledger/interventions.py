"""What people do to executions from outside: stop, decide, retry."""

from typing import Any

from sqlalchemy import Row, insert, select, update

from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger.claims import row_of, title
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.gates import mode_of, newer_in_stage
from prefect_delivery.ledger.progress import baseline_of, ended_by
from prefect_delivery.ledger.tables import (
    action_runs,
    decisions,
    executions,
    stage_runs,
)

_CAN_RETRY = {Status.FAILED, Status.STOPPED, Status.CANCELLED}


class Interventions(Room):
    """What people may do, whoever owns the execution."""

    @writes
    def request_stop(
        self,
        tx: Transaction,
        execution_id: str,
        *,
        by: str,
        reason: str,
        abandon: bool = False,
    ) -> None:
        """Ask the owner to stop; a second request counts if it first asks to abandon.

        Args:
            abandon: Do not wait for the running actions to end.

        Raises:
            Refused: The execution has ended.
        """
        row = row_of(tx, execution_id)
        if Status(row.status).ended:
            raise Refused(f"{title(row)} has ended: {row.status}")
        if row.stop_by is not None and (row.stop_abandon or not abandon):
            return
        _set(tx, execution_id, stop_by=by, stop_reason=reason, stop_abandon=abandon)
        tx.audit(by, "request stop", title(row), reason=reason, abandon=abandon)

    @writes
    def decide(
        self,
        tx: Transaction,
        execution_id: str,
        stage: str,
        action: str,
        *,
        by: str,
        approved: bool,
        comment: str = "",
    ) -> None:
        """Answer an action that waits: it succeeds, or fails for good.

        Raises:
            Refused: It does not wait, for example since somebody was faster.
        """
        row = row_of(tx, execution_id)
        run = _waiting(tx, row, stage, action)
        done = "approved" if approved else "rejected"
        said = f"{done} by {by}" + (f": {comment}" if comment else "")
        keys = {
            "execution_id": execution_id,
            "stage": stage,
            "action": action,
            "attempt": run.attempt,
        }
        tx.execute(
            update(action_runs)
            .filter_by(**keys)
            .values(
                status=Status.SUCCEEDED if approved else Status.FAILED,
                ended=tx.now,
                summary=said,
                error=None if approved else said,
                retryable=False,
            )
        )
        tx.execute(
            insert(decisions).values(
                **keys,
                decided_by=by,
                approved=approved,
                comment=comment,
                decided=tx.now,
            )
        )
        subject = f"{title(row)} / {stage} / {action}"
        tx.audit(by, "decide", subject, approved=approved, comment=comment)

    @writes
    def reopen(
        self,
        tx: Transaction,
        execution_id: str,
        stage: str,
        *,
        by: str,
        all_actions: bool = False,
    ) -> None:
        """Have a stage run again: its execution goes on, and the stage waits to be let in.

        Args:
            all_actions: Run those again that succeeded, too.

        Raises:
            Refused: The stage did not fail, or a newer execution has entered it since.
        """
        row = row_of(tx, execution_id)
        known = _failed_stage(tx, row, stage)
        newer = newer_in_stage(tx, row, stage)
        if newer and not row.carried and mode_of(tx, row) != "parallel":
            raise Refused(
                f"#{newer} has entered {stage} since; {title(row)} is out of date",
                hint=f"deliver run {row.pipeline}, or deliver rollback {row.pipeline}"
                f" {stage} --to {row.number}",
            )
        baseline = known.baseline | baseline_of(tx, execution_id, stage, all_actions)
        tx.execute(
            update(stage_runs)
            .filter_by(execution_id=execution_id, stage=stage)
            .values(status=Status.WAITING, ended=None, reason=None, baseline=baseline)
        )
        _set(
            tx,
            execution_id,
            status=Status.IN_PROGRESS,
            ended=None,
            reason=None,
            stop_by=None,
            stop_reason=None,
            stop_abandon=None,
        )
        tx.audit(by, "reopen", f"{title(row)} / {stage}", all_actions=all_actions)


def _set(tx: Transaction, execution_id: str, **values: object) -> None:
    tx.execute(
        update(executions).where(executions.c.id == execution_id).values(**values)
    )


def _waiting(tx: Transaction, execution: Row[Any], stage: str, action: str) -> Row[Any]:
    subject = f"{title(execution)} / {stage} / {action}"
    run = tx.execute(
        select(action_runs)
        .filter_by(execution_id=execution.id, stage=stage, action=action)
        .order_by(action_runs.c.attempt.desc())
        .limit(1)
    ).first()
    if run is None:
        raise Refused(f"{subject} has not begun")
    if Status(run.status).ended:
        raise Refused(f"{subject} waits no more: {ended_by(tx, run)}")
    if Status(execution.status).ended:
        raise Refused(f"{title(execution)} has ended: {execution.status}")
    if run.status != Status.WAITING:
        raise Refused(f"{subject} does not wait for a decision: {run.status}")
    return run


def _failed_stage(tx: Transaction, execution: Row[Any], stage: str) -> Row[Any]:
    known = tx.execute(
        select(stage_runs).filter_by(execution_id=execution.id, stage=stage)
    ).first()
    if known is None:
        raise Refused(f"stage '{stage}' of {title(execution)} was not entered")
    if Status(known.status) not in _CAN_RETRY:
        raise Refused(
            f"stage '{stage}' of {title(execution)} did not fail: {known.status}"
        )
    if Status(execution.status) in {Status.SUCCEEDED, Status.SUPERSEDED}:
        raise Refused(f"{title(execution)} has ended: {execution.status}")
    return known
