"""Executions that go back: which one to go back to, and what it brings along."""

from prefect_delivery.engine.conditions import has_acted, wants_rollback
from prefect_delivery.engine.resolve import artifacts_of, variables_of
from prefect_delivery.engine.state import Carried, Execution, Status
from prefect_delivery.ledger import Ledger


def automatic_rollbacks(ledger: Ledger, execution: Execution) -> list[Execution]:
    """Record the rollbacks that the failed stages of an execution ask for.

    They ask by `on_failure`, or by an `on_success` that was not met. A stage goes back
    to the last execution before in which it succeeded; where there is none, nothing is
    done. A rollback that fails asks for no other.
    """
    if execution.status is not Status.FAILED or execution.carried:
        return []
    started = []
    for name in execution.stages:
        if wants_rollback(execution, name):
            past = ledger.executions.list(execution.pipeline, limit=200)
            earlier = [e for e in past if e.number < execution.number]
            if target := rollback_target(earlier, name, None, last=True):
                by = f"{execution.title} failed"
                trigger = "automatic-rollback"
                started.append(roll_back(ledger, target, name, trigger=trigger, by=by))
    return started


def roll_back(
    ledger: Ledger, target: Execution, stage: str, *, trigger: str, by: str
) -> Execution:
    """Record an execution that runs `stage` as it ran in `target`."""
    return ledger.executions.start(
        target.definition,
        variables=target.variables,
        revisions=target.revisions,
        trigger=trigger,
        started_by=by,
        only=(stage,),
        carried=Carried(
            execution=target.id,
            artifacts=artifacts_of(target),
            variables=variables_of(target),
        ),
    )


def rollback_target(
    newest_first: list[Execution], stage: str, to: int | None, *, last: bool = False
) -> Execution | None:
    """The execution to go back to; rollbacks stand for what they went back to.

    Args:
        newest_first: Executions of the pipeline.
        to: Number of the one that is wanted, if a certain one is.
        last: The last one whose work stands, rather than the one before it.
    """
    ran = [e for e in newest_first if stage in e.stages and has_acted(e.stages[stage])]
    good = [e for e in ran if e.stages[stage].status is Status.SUCCEEDED]
    own = [e for e in good if e.carried is None]
    if to is not None:
        return next((e for e in own if e.number == to), None)
    tried = next((e for e in ran if e.carried is None or e in good), None)
    stands = good[0] if good else None
    if stands is not None and stands.carried:
        back = stands.carried.execution
        stands = next((e for e in own if e.id == back), None)
    if stands is None or last or tried is None or tried not in good:
        return stands
    return next((e for e in own if e.number < stands.number), None)
