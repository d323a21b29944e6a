"""Which of two executions made the newer thing."""

from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger


def origin_of(ledger: Ledger, execution: Execution) -> Execution:
    """The execution whose sources this one runs on: itself, or what it goes back to."""
    while execution.carried:
        execution = ledger.executions.get(execution.carried.execution)
    return execution


def brought_by(ledger: Ledger, environment: str) -> Execution | None:
    """The execution that made what an environment runs; None where none did."""
    last = ledger.rollouts.committed(environment, limit=1)
    if not last or not last[0].execution_id:
        return None
    return origin_of(ledger, ledger.executions.get(last[0].execution_id))


def newer_in(
    ledger: Ledger, environment: str, execution: Execution
) -> Execution | None:
    """What an environment runs, if that is newer than what an execution would bring.

    Only executions of one pipeline have an order.
    """
    there, mine = brought_by(ledger, environment), origin_of(ledger, execution)
    if there is None or there.pipeline != mine.pipeline:
        return None
    return there if there.number > mine.number else None
