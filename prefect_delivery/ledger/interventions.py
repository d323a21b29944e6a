"""What people do to executions from outside: stop, decide, retry."""

from typing import Any

from sqlalchemy import Row, insert, select, update

from prefect_delivery.engine.approvals import (
    Ballot,
    Missing,
    Vote,
    ballot_of,
    deadline_of,
)
from prefect_delivery.engine.people import key_of
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger.claims import row_of, title
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.gates import goes_back, mode_of, newer_in_stage
from prefect_delivery.ledger.loading import all_executions, load
from prefect_delivery.ledger.progress import baseline_of, ended_by
from prefect_delivery.ledger.tables import (
    action_runs,
    decisions,
    executions,
    stage_runs,
)
from prefect_delivery.ledger.votes import put, votes_of
from prefect_delivery.ledger.waits import note_wait

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
        hold: bool = False,
    ) -> None:
        """Ask the owner to stop; a second request counts if it first asks to abandon.

        Args:
            abandon: Do not wait for the running actions to end.
            hold: Leave a rollout that is abandoned where it is; by default it is undone.

        Raises:
            Refused: The execution has ended.
        """
        row = row_of(tx, execution_id)
        if Status(row.status).ended:
            raise Refused(f"{title(row)} has ended: {row.status}")
        if row.stop_by is not None and (row.stop_abandon or not abandon):
            return
        _set(
            tx,
            execution_id,
            status=Status.STOPPING,
            stop_by=by,
            stop_reason=reason,
            stop_abandon=abandon,
            stop_hold=hold,
        )
        tx.audit(
            by, "request stop", title(row), reason=reason, abandon=abandon, hold=hold
        )

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
        seen: str | None = None,
    ) -> tuple[Missing, ...]:
        """Record a person's vote on an action that waits.

        It succeeds once everybody has approved who must; the first who rejects it lets
        it fail for good. Somebody who votes again replaces what they said before.

        Args:
            seen: Fingerprint of what the person was shown; by default, of what there
                is.

        Returns:
            Who must still approve.

        Raises:
            Refused: It does not wait, for example since somebody was faster; the person
                may not vote so; or there is something else to decide than was seen.
        """
        row = row_of(tx, execution_id)
        run = _waiting(tx, row, stage, action)
        keys = {
            "execution_id": execution_id,
            "stage": stage,
            "action": action,
            "attempt": run.attempt,
        }
        ballot = _ballot(tx, execution_id, stage, action)
        subject = f"{title(row)} / {stage} / {action}"
        _check_vote(ballot, subject, by, approved, seen)
        vote = Vote(
            person=by,
            approved=approved,
            comment=comment,
            when=tx.now,
            groups=ballot.policy.groups_of(by),
            fingerprint=ballot.seen.fingerprint,
        )
        put(tx, keys, vote)
        ballot = _ballot(tx, execution_id, stage, action)
        if ballot.rejected or ballot.approved:
            _end_vote(tx, keys, vote, ballot)
        missing = () if ballot.rejected else ballot.missing
        tx.audit(
            by,
            "decide",
            subject,
            approved=approved,
            comment=comment,
            fingerprint=vote.fingerprint,
            missing=[str(each) for each in missing],
        )
        return missing

    @writes
    def note_refused(
        self, tx: Transaction, execution_id: str, *, by: str, wish: str, reason: str
    ) -> None:
        """Note in the audit log that somebody wanted something and may not."""
        subject = title(row_of(tx, execution_id))
        tx.audit(by, "refuse", subject, wish=wish, reason=reason)

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
        if newer and not goes_back(row) and mode_of(tx, row) != "parallel":
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
        note_wait(
            tx, execution_id, stage, "ended", f"retried by {by}", since=known.ended
        )
        _go_on(tx, execution_id)
        tx.audit(by, "reopen", f"{title(row)} / {stage}", all_actions=all_actions)

    @writes
    def resume(self, tx: Transaction, execution_id: str, *, by: str) -> None:
        """Have an execution go on that was stopped between two stages.

        Raises:
            Refused: It was not stopped, or it was in a stage, which is to be reopened.
        """
        row = row_of(tx, execution_id)
        if row.status != Status.STOPPED:
            raise Refused(f"{title(row)} was not stopped: {row.status}")
        runs = tx.execute(select(stage_runs).filter_by(execution_id=execution_id))
        if within := [run.stage for run in runs if run.status in _CAN_RETRY]:
            raise Refused(f"{title(row)} was stopped in {', '.join(within)}")
        _go_on(tx, execution_id)
        tx.audit(by, "reopen", title(row))


def _go_on(tx: Transaction, execution_id: str) -> None:
    """Let an execution that has ended go on, whoever claims it."""
    _set(
        tx,
        execution_id,
        status=Status.IN_PROGRESS,
        ended=None,
        reason=None,
        stop_by=None,
        stop_reason=None,
        stop_abandon=None,
        stop_hold=None,
        left_at=tx.now,
    )


def _set(tx: Transaction, execution_id: str, **values: object) -> None:
    tx.execute(
        update(executions).where(executions.c.id == execution_id).values(**values)
    )


def _ballot(tx: Transaction, execution_id: str, stage: str, action: str) -> Ballot:
    query = all_executions().where(executions.c.id == execution_id)
    [execution] = load(tx.connection, query)
    if action not in execution.definition.stages[stage].actions:
        raise Refused(f"{execution.title} / {stage} / {action} takes no decision")
    run = execution.stages[stage].actions[action][-1]
    votes = votes_of(tx.connection, execution_id)
    given = votes.get((stage, action, run.attempt), ())
    deadline = deadline_of(execution, stage, action, run)
    if deadline and deadline <= tx.now:
        raise Refused(
            f"{execution.title} / {stage} / {action} waits no more:"
            f" timed out at {deadline:%Y-%m-%d %H:%M:%S} UTC"
        )
    return ballot_of(execution, stage, action, run, given)


def _check_vote(
    ballot: Ballot, subject: str, by: str, approved: bool, seen: str | None
) -> None:
    if seen is not None and seen != ballot.seen.fingerprint:
        raise Refused(f"what {subject} is about has changed since it was shown")
    if objection := ballot.objection(by, approved=approved):
        may = " and ".join(str(missing) for missing in ballot.missing)
        raise Refused(
            f"{by} may not decide on {subject}: {objection}",
            hint=f"it waits for {may}" if may else None,
        )
    for vote in ballot.counted:
        if key_of(vote.person) == key_of(by) and vote.approved == approved:
            done = "approved" if approved else "rejected"
            raise Refused(
                f"{vote.person} has {done} {subject} already,"
                f" at {vote.when:%Y-%m-%d %H:%M:%S} UTC"
            )


def _end_vote(
    tx: Transaction, keys: dict[str, Any], last: Vote, ballot: Ballot
) -> None:
    """End the attempt: it is approved, or rejected by the last vote."""
    approved = not ballot.rejected
    voters = [v.person for v in ballot.counted] if approved else [last.person]
    by = ", ".join(voters)
    said = f"{'approved' if approved else 'rejected'} by {by}"
    said += f": {last.comment}" if last.comment else ""
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
            comment=last.comment,
            decided=tx.now,
        )
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
    if run.status != Status.WAITING or run.due is not None:
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
