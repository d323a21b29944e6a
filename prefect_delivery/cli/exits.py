"""Which exit code an execution stands for."""

from prefect_delivery.cli.codes import FAILED, INTERRUPTED, OK, STOPPED, WAITING
from prefect_delivery.engine.conditions import spec_of
from prefect_delivery.engine.state import Execution, Status


def code_of(execution: Execution) -> int:
    """The exit code that an execution's status stands for; 0 while it runs."""
    match execution.status:
        case Status.FAILED:
            return STOPPED if was_rejected(execution) else FAILED
        case Status.STOPPED if execution.stop and execution.stop.by == "SIGINT":
            return INTERRUPTED
        case Status.STOPPED | Status.CANCELLED | Status.SUPERSEDED:
            return STOPPED
        case Status.WAITING:
            return WAITING
        case _:
            return OK


def was_rejected(execution: Execution) -> bool:
    """Whether an approval that was answered with no is what failed."""
    return any(
        attempts[-1].status is Status.FAILED and not attempts[-1].retryable
        for stage, run in execution.stages.items()
        for action, attempts in run.actions.items()
        if run.status is Status.FAILED and _is_approval(execution, stage, action)
    )


def _is_approval(execution: Execution, stage: str, action: str) -> bool:
    spec = spec_of(execution.definition.stages[stage], action)
    return spec.uses.startswith("approval/")
