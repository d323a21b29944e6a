"""Close executions that nobody drives any more."""

from collections.abc import Callable

from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Attempt, Ledger
from prefect_delivery.settings import settings


def close_dead(
    ledger: Ledger, say: Callable[[str], None], *, pipeline: str | None = None
) -> None:
    """Record as stopped each execution whose process has ended; says which.

    Also those whose process has ended before it took them up. Not those that a worker of
    Prefect's carries out: they are carried out again. Nor those that a change started,
    which wait for a worker as long as there is none.

    Args:
        pipeline: Only of this one.
    """
    with_prefect = {*ledger.changes.not_taken_up()}
    for execution in ledger.executions.list(pipeline, open_only=True, limit=1000):
        if execution.deployed or execution.id in with_prefect:
            continue
        reason = _why_dead(ledger, execution)
        if reason is None:
            continue
        try:
            attempt = ledger.executions.claim(
                execution.id, holder=this_holder(), ttl=settings().lease, dead=is_dead
            )
        except Refused:
            continue
        close(ledger, attempt, reason)
        ledger.executions.leave(attempt)
        say(
            f"{execution.title}: stopped, {reason} "
            f"(deliver retry {execution.pipeline} {execution.number})"
        )


def _why_dead(ledger: Ledger, execution: Execution) -> str | None:
    """Why nobody drives an execution on, if that is so."""
    owner = ledger.executions.owner(execution.id)
    if owner is not None:
        gone = owner.expired or is_dead(owner.holder)
        return "its process has ended" if gone else None
    if execution.status is Status.WAITING:
        return None  # for what it says itself
    silent = ledger.executions.silence(execution.id)
    return "no process has taken it up" if silent > settings().lease else None


def close(ledger: Ledger, attempt: Attempt, reason: str) -> None:
    """Record as stopped all that has not ended in the execution of `attempt`."""
    executions = ledger.executions
    execution = executions.get(attempt.execution_id)
    if execution.status.ended:
        return
    for stage, run in execution.stages.items():
        if run.status.ended:
            continue
        for action, runs in run.actions.items():
            if not runs[-1].status.ended:
                number = runs[-1].attempt
                executions.end_action(
                    attempt, stage, action, number, Status.STOPPED, error=reason
                )
        executions.end_stage(attempt, stage, Status.STOPPED, reason)
    executions.end(attempt, Status.STOPPED, reason)
