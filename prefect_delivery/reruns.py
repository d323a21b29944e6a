"""Exact re-runs: an execution again, on what it ran on then."""

from typing import Final

from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

TRIGGER: Final = "re-run of #"


def is_rerun(execution: Execution) -> bool:
    """Whether somebody has asked for it to be run again."""
    return execution.trigger.startswith(TRIGGER)


def rerun(ledger: Ledger, execution: Execution, *, by: str) -> Execution:
    """Record a new execution with the definition, variables and revisions of another.

    Raises:
        Refused: The other one has never found all of its revisions.
    """
    scope = execution.only or tuple(execution.definition.stages)
    for stage in scope:
        for name, action in execution.definition.stages[stage].actions.items():
            if action.uses.startswith("source/") and name not in execution.revisions:
                raise Refused(
                    f"{execution.title} has no revision of source '{name}', so it"
                    " cannot be run again as it was",
                    hint=f"deliver run {execution.pipeline}",
                )
    return ledger.executions.start(
        execution.definition,
        variables=execution.variables,
        revisions=execution.revisions,
        trigger=f"{TRIGGER}{execution.number}",
        started_by=by,
        only=execution.only,
        carried=execution.carried,
        untrusted=execution.untrusted,
    )
