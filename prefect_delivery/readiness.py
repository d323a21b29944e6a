"""Whether an execution that waits could go on."""

from datetime import datetime

from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.gate import Hold
from prefect_delivery.engine.state import Execution
from prefect_delivery.engine.steps import EnterStage, Step, Wait
from prefect_delivery.ledger import Ledger


def can_go_on(ledger: Ledger, execution: Execution, now: datetime) -> bool:
    """Whether whoever drove the execution now would find something to do.

    One that has ended can: its Prefect run does not know yet.
    """
    if execution.status.ended:
        return True
    return any(_is_due(ledger, execution, step) for step in decide(execution, now))


def _is_due(ledger: Ledger, execution: Execution, step: Step) -> bool:
    match step:
        case Wait():
            return False
        case EnterStage(stage):
            verdict = ledger.executions.would_enter(execution.id, stage)
            return not isinstance(verdict, Hold)
        case _:
            return True
