"""Quarantine that stands in the way of an execution, and lifting it."""

from collections.abc import Collection, Iterable

from prefect_delivery.engine.resolve import artifacts_of
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger, Quarantined


def kept_out_of(
    ledger: Ledger, executions: Iterable[Execution], stage: str
) -> dict[str, Quarantined]:
    """Of executions, those whose release may not come back, by id, and why."""
    found: dict[str, Quarantined] = {}
    if not ledger.quarantine.list():
        return found
    for execution in executions:
        for rollout in ledger.rollouts.of_execution(execution.id):
            why = ledger.quarantine.of(rollout.environment, rollout.release)
            if why and deploys_to(execution, stage, rollout.environment):
                found[execution.id] = why
    return found


def in_the_way(
    ledger: Ledger, execution: Execution, stages: Collection[str]
) -> list[Quarantined]:
    """All that keeps what an execution has made out of where some stages deploy to.

    Raises:
        Refused: Nothing does.
    """
    artifacts = [ref.digest for ref in artifacts_of(execution).values()]
    found = [
        one
        for state in ledger.environments.list()
        if any(deploys_to(execution, stage, state.name) for stage in stages)
        for one in ledger.quarantine.keeping_out(
            state.name, artifacts, execution.revisions
        )
    ]
    if not found:
        raise Refused(
            f"no quarantine keeps {execution.title} out of {', '.join(stages)}",
            hint="leave out --lift",
        )
    return found


def lift(ledger: Ledger, found: list[Quarantined], *, by: str, reason: str) -> None:
    """Let in again what was kept out, each with its reason in the audit log."""
    for one in found:
        ledger.quarantine.lift(one.environment, one.release, by=by, reason=reason)


def deploys_to(execution: Execution, stage: str, environment: str) -> bool:
    """Whether a stage of an execution deploys to an environment, by its ledger's name."""
    if stage not in execution.definition.stages:
        return False
    names = {
        action.with_.get("environment")
        for action in execution.definition.stages[stage].actions.values()
        if action.uses.startswith("deploy/")
    }
    return environment in names | {f"{execution.pipeline}/{name}" for name in names}
