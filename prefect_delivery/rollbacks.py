"""Executions that go back: which one to go back to, and what it brings along."""

from collections.abc import Collection

from prefect_delivery.engine.conditions import has_acted, wants_rollback
from prefect_delivery.engine.resolve import artifacts_of, variables_of
from prefect_delivery.engine.state import Carried, Execution, Status
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.rollouts import AUTOMATIC
from prefect_delivery.lifting import deploys_to, kept_out_of


def automatic_rollbacks(ledger: Ledger, execution: Execution) -> list[Execution]:
    """Record the rollbacks that the failed stages of an execution ask for.

    They ask by `on_failure`, or by an `on_success` that was not met. A stage goes back
    to the last execution before in which it succeeded; where there is none, or where
    its environment has refused the release, nothing is done. A rollback that fails asks
    for no other: it stops after one level. What it leaves is quarantined, so that the
    same release is rolled back once and no more.
    """
    if execution.status is not Status.FAILED or execution.is_rollback:
        return []
    started = []
    for name in execution.stages:
        if wants_rollback(execution, name) and not _was_refused(
            ledger, execution, name
        ):
            past = ledger.executions.list(execution.pipeline, limit=200)
            earlier = [e for e in past if e.number < execution.number]
            barred = kept_out_of(ledger, earlier, name)
            target = rollback_target(earlier, name, None, last=True, barred=barred)
            if target is not None:
                by = f"{execution.title} failed"
                trigger = AUTOMATIC
                started.append(
                    roll_back(ledger, target, (name,), trigger=trigger, by=by)
                )
    return started


def _was_refused(ledger: Ledger, execution: Execution, stage: str) -> bool:
    """Whether all that a stage did was to be turned away by its environment.

    For example since that keeps the release in quarantine, cools down or is locked. Then
    nothing has changed, and every push would start another rollback.
    """
    actions = execution.definition.stages[stage].actions
    begun = {
        a.uses for name, a in actions.items() if name in execution.stages[stage].actions
    }
    rollouts = ledger.rollouts.of_execution(execution.id)
    return (
        "deploy/environment" in begun
        and begun <= {"deploy/environment", "approval/manual"}
        and not any(deploys_to(execution, stage, one.environment) for one in rollouts)
    )


def roll_back(
    ledger: Ledger,
    target: Execution,
    stages: Collection[str],
    *,
    trigger: str,
    by: str,
) -> Execution:
    """Record an execution that runs stages as they ran in `target`, the last first."""
    return ledger.executions.start(
        target.definition,
        variables=target.variables,
        revisions=target.revisions,
        trigger=trigger,
        started_by=by,
        only=tuple(n for n in reversed(target.definition.stages) if n in stages),
        carried=Carried(
            execution=target.id,
            artifacts=artifacts_of(target),
            variables=variables_of(target),
        ),
        untrusted=target.untrusted,
    )


def common_target(
    newest_first: list[Execution],
    stages: Collection[str],
    to: int | None,
    barred: Collection[str] = (),
) -> Execution | None:
    """The newest execution that each of the stages can go back to; see below."""
    each = [rollback_target(newest_first, stage, to, barred=barred) for stage in stages]
    numbers = [target.number for target in each if target is not None]
    if len(numbers) < len(each):
        return None
    fitting = (
        e
        for e in newest_first
        if e.number <= min(numbers)
        and (to is not None or e.id not in barred)
        and not e.is_rollback
        and all(
            stage in e.stages and e.stages[stage].status is Status.SUCCEEDED
            for stage in stages
        )
    )
    return next(fitting, None)


def rollback_target(
    newest_first: list[Execution],
    stage: str,
    to: int | None,
    *,
    last: bool = False,
    barred: Collection[str] = (),
) -> Execution | None:
    """The execution to go back to; rollbacks stand for what they went back to.

    Args:
        newest_first: Executions of the pipeline.
        to: Number of the one that is wanted, if a certain one is.
        last: The last one whose work stands, rather than the one before it.
        barred: Ids of those that are passed over, unless they are wanted.
    """
    ran = [e for e in newest_first if stage in e.stages and has_acted(e.stages[stage])]
    good = [e for e in ran if e.stages[stage].status is Status.SUCCEEDED]
    own = [e for e in good if not e.is_rollback]
    if to is not None:
        return next((e for e in own if e.number == to), None)
    tried = next((e for e in ran if not e.is_rollback or e in good), None)
    stands = good[0] if good else None
    if stands is not None and stands.carried and stands.is_rollback:
        back = stands.carried.execution
        stands = next((e for e in own if e.id == back), None)
    if stands is None:
        return None
    stays = last or tried is None or tried not in good
    newest = stands.number if stays else stands.number - 1
    fit = (e for e in own if e.number <= newest and e.id not in barred)
    return next(fit, None)
