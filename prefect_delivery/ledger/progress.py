"""What the owner of an execution reports, each call checked against its claim."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, and_, func, insert, select, update

from prefect_delivery.engine.conditions import is_rule
from prefect_delivery.engine.state import ArtifactRef, Status
from prefect_delivery.errors import ActionFailed, Refused
from prefect_delivery.ledger.claims import owned, title
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Attempt
from prefect_delivery.ledger.tables import (
    action_runs,
    decisions,
    executions,
    stage_runs,
)
from prefect_delivery.ledger.waits import end_waits

MOST_VARIABLES: Final = 122_880
"""Bytes of output variables that an action may leave (CodePipeline's quota)."""


class Progress(Room):
    """How executions get on.

    Every method raises `LeaseLost`, and changes nothing, when `attempt` owns its
    execution no more. Repeating a call that was carried out changes nothing either.
    """

    @writes
    def retry_stage(
        self, tx: Transaction, attempt: Attempt, stage: str, *, all_actions: bool
    ) -> None:
        """Have the failed actions of a stage that is in progress run again, or all."""
        execution = owned(tx, attempt)
        where = _stage(attempt, stage)
        baseline = baseline_of(tx, attempt.execution_id, stage, all_actions)
        tx.execute(update(stage_runs).where(where).values(baseline=baseline))
        subject = f"{title(execution)} / {stage}"
        tx.audit(attempt.holder, "retry stage", subject, baseline=baseline)

    @writes
    def begin_action(
        self, tx: Transaction, attempt: Attempt, stage: str, action: str, number: int
    ) -> None:
        """Begin the `number`th attempt at an action.

        Raises:
            Refused: The stage was not entered or has ended, that attempt has ended, or
                it is not the next one.
        """
        execution = owned(tx, attempt)
        subject = f"{title(execution)} / {stage} / {action}"
        run = _one(tx, stage_runs, _stage(attempt, stage))
        if run is None:
            raise Refused(f"stage '{stage}' of {title(execution)} was not entered")
        known = _one(tx, action_runs, _action(attempt, stage, action, number))
        if known is not None and not Status(known.status).ended:
            return
        last = _last_attempt(tx, attempt, stage, action)
        if number != last + 1:
            raise Refused(f"{subject} had {last} attempts; {number} is not the next")
        if Status(run.status).ended:
            raise Refused(f"stage '{stage}' of {title(execution)} has ended")
        _add_action(tx, attempt, stage, action, number)
        tx.audit(attempt.holder, "begin action", subject, attempt=number)

    @writes
    def end_action(
        self,
        tx: Transaction,
        attempt: Attempt,
        stage: str,
        action: str,
        number: int,
        status: Status,
        *,
        error: str | None = None,
        summary: str | None = None,
        link: str | None = None,
        artifacts: dict[str, ArtifactRef] = {},
        variables: dict[str, str] = {},
        reports: Sequence[Mapping[str, Any]] = (),
        retryable: bool = True,
        due: datetime | None = None,
        cache_key: str | None = None,
    ) -> None:
        """Record what an attempt at an action left; `WAITING` keeps it open.

        What people have decided of it meanwhile stands, and so does the end of an
        execution that was superseded: then nothing changes.

        Args:
            due: When one that waits is to be asked again.
            cache_key: What a later attempt finds it by, if nothing has changed.

        Raises:
            Refused: It has ended otherwise.
            ActionFailed: The output variables are larger than `MOST_VARIABLES`.
        """
        execution = owned(tx, attempt)
        subject = f"{title(execution)} / {stage} / {action}"
        _check_size(subject, variables)
        where = _action(attempt, stage, action, number)
        known = _one(tx, action_runs, where)
        if known is None:
            raise Refused(f"attempt {number} at {subject} was not begun")
        if Status(known.status).ended:
            said = known.status == status or _decision(tx, known) is not None
            if said or execution.status == Status.SUPERSEDED:
                return
            raise Refused(f"{subject} has ended: {ended_by(tx, known)}")
        values: dict[str, Any] = {
            "status": status,
            "ended": tx.now if status.ended else None,
            "error": error,
            "summary": summary,
            "link": link,
            "artifacts": {name: asdict(ref) for name, ref in artifacts.items()},
            "variables": variables,
            "reports": [dict(report) for report in reports],
            "retryable": retryable,
            "due": due,
            "cache_key": cache_key,
        }
        tx.execute(update(action_runs).where(where).values(values))
        if known.due and due:
            return  # asked again, and no answer again: that is nothing new
        tx.audit(
            attempt.holder,
            "end action",
            subject,
            attempt=number,
            status=status,
            error=error,
            artifacts=values["artifacts"],
        )

    @writes
    def ask_again(
        self, tx: Transaction, attempt: Attempt, stage: str, action: str, number: int
    ) -> None:
        """Carry out an attempt again that waits for its time.

        Raises:
            Refused: It does not, for example since it has ended.
        """
        execution = owned(tx, attempt)
        where = _action(attempt, stage, action, number)
        known = _one(tx, action_runs, where)
        if known is None or Status(known.status).ended or known.due is None:
            subject = f"{title(execution)} / {stage} / {action}"
            raise Refused(f"attempt {number} at {subject} does not wait for its time")
        tx.execute(update(action_runs).where(where).values(status=Status.IN_PROGRESS))

    @writes
    def end_stage(
        self,
        tx: Transaction,
        attempt: Attempt,
        stage: str,
        status: Status,
        reason: str | None = None,
    ) -> None:
        """Record how a stage ended; one that was never entered may be skipped so."""
        execution = owned(tx, attempt)
        where = _stage(attempt, stage)
        ended = tx.now if status.ended else None
        if _one(tx, stage_runs, where) is None:
            _add_stage(tx, attempt, stage, status=status, ended=ended, reason=reason)
        else:
            values = {"status": status, "ended": ended, "reason": reason}
            tx.execute(update(stage_runs).where(where).values(values))
        end_waits(tx, attempt.execution_id, stage)
        subject = f"{title(execution)} / {stage}"
        tx.audit(attempt.holder, "end stage", subject, status=status, reason=reason)

    @writes
    def end(
        self,
        tx: Transaction,
        attempt: Attempt,
        status: Status,
        reason: str | None = None,
    ) -> None:
        """Record how the execution ended; the claim stays until it is left."""
        execution = owned(tx, attempt)
        _set(tx, attempt, status=status, ended=tx.now, reason=reason)
        end_waits(tx, attempt.execution_id)
        tx.audit(attempt.holder, "end", title(execution), status=status, reason=reason)

    @writes
    def set_status(self, tx: Transaction, attempt: Attempt, status: Status) -> None:
        """Change the status of an execution that goes on.

        Raises:
            Refused: The execution has ended; `reopen` is what makes it go on.
        """
        execution = owned(tx, attempt)
        if Status(execution.status).ended:
            raise Refused(f"{title(execution)} has ended: {execution.status}")
        if execution.status != status:
            _set(tx, attempt, status=status)
            tx.audit(attempt.holder, "set status", title(execution), status=status)

    @writes
    def note_revision(
        self, tx: Transaction, attempt: Attempt, action: str, revision: str
    ) -> None:
        """Note what a source action resolved to; later attempts are pinned to it."""
        execution = owned(tx, attempt)
        _set(tx, attempt, revisions={**execution.revisions, action: revision})
        subject = f"{title(execution)} / {action}"
        tx.audit(attempt.holder, "note revision", subject, revision=revision)


def baseline_of(
    tx: Transaction, execution_id: str, stage: str, all_actions: bool
) -> dict[str, int]:
    """By action that shall run again, the attempts it has had; rules are asked again."""
    runs = tx.execute(
        select(action_runs)
        .filter_by(execution_id=execution_id, stage=stage)
        .order_by(action_runs.c.attempt)
    )
    last = {run.action: run for run in runs}
    return {
        action: run.attempt
        for action, run in last.items()
        if all_actions or run.status != Status.SUCCEEDED or is_rule(action)
    }


def ended_by(tx: Transaction, run: Row[Any]) -> str:
    """How an action run ended, and by whose decision, if it was one."""
    found = _decision(tx, run)
    if found is None:
        return f"{run.status} at {run.ended:%Y-%m-%d %H:%M:%S} UTC"
    done = "approved" if found.approved else "rejected"
    return f"{done} by {found.decided_by} at {found.decided:%Y-%m-%d %H:%M:%S} UTC"


def _decision(tx: Transaction, run: Row[Any]) -> Row[Any] | None:
    """What people have decided of an action run."""
    keys = ("execution_id", "stage", "action", "attempt")
    values = {key: getattr(run, key) for key in keys}
    return tx.execute(select(decisions).filter_by(**values)).first()


def _check_size(subject: str, variables: dict[str, str]) -> None:
    size = len(json.dumps(variables).encode())
    if size > MOST_VARIABLES:
        raise ActionFailed(
            f"output variables of {subject} take {size:,} bytes;"
            f" {MOST_VARIABLES:,} are the most",
            hint="hand large data on as an artifact",
        )


def _stage(attempt: Attempt, stage: str) -> ColumnElement[bool]:
    return and_(
        stage_runs.c.execution_id == attempt.execution_id, stage_runs.c.stage == stage
    )


def _action(
    attempt: Attempt, stage: str, action: str, number: int
) -> ColumnElement[bool]:
    return and_(
        action_runs.c.execution_id == attempt.execution_id,
        action_runs.c.stage == stage,
        action_runs.c.action == action,
        action_runs.c.attempt == number,
    )


def _one(tx: Transaction, table: Table, where: ColumnElement[bool]) -> Row[Any] | None:
    return tx.execute(select(table).where(where)).one_or_none()


def _set(tx: Transaction, attempt: Attempt, **values: object) -> None:
    tx.execute(
        update(executions)
        .where(executions.c.id == attempt.execution_id)
        .values(**values)
    )


def _add_stage(tx: Transaction, attempt: Attempt, stage: str, **values: object) -> None:
    entered = select(func.count()).where(
        stage_runs.c.execution_id == attempt.execution_id
    )
    tx.execute(
        insert(stage_runs).values(
            execution_id=attempt.execution_id,
            stage=stage,
            position=tx.execute(entered).scalar_one() + 1,
            baseline={},
            overridden={},
            **values,
        )
    )


def _last_attempt(tx: Transaction, attempt: Attempt, stage: str, action: str) -> int:
    last = select(func.max(action_runs.c.attempt)).where(
        action_runs.c.execution_id == attempt.execution_id,
        action_runs.c.stage == stage,
        action_runs.c.action == action,
    )
    return tx.execute(last).scalar() or 0


def _add_action(
    tx: Transaction, attempt: Attempt, stage: str, action: str, number: int
) -> None:
    tx.execute(
        insert(action_runs).values(
            execution_id=attempt.execution_id,
            stage=stage,
            action=action,
            attempt=number,
            status=Status.IN_PROGRESS,
            started=tx.now,
            artifacts={},
            variables={},
            reports=[],
            retryable=True,
        )
    )
