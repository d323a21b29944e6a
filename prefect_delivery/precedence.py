"""Which of two executions made the newer thing."""

from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger


def origin_of(ledger: Ledger, execution: Execution) -> Execution:
    """The execution whose sources this one runs on: itself, or what it goes back to."""
    while execution.carried:
        execution = ledger.executions.get(execution.carried.execution)
    return execution


def last_in(ledger: Ledger, environment: str) -> Execution | None:
    """The execution that changed an environment last; None where none did."""
    last = ledger.rollouts.committed(environment, limit=1)
    if not last or not last[0].execution_id:
        return None
    return ledger.executions.get(last[0].execution_id)


def newer_in(
    ledger: Ledger, environment: str, execution: Execution
) -> Execution | None:
    """What an environment runs, if that is newer than what an execution would bring.

    Only executions of one pipeline have an order.
    """
    last = last_in(ledger, environment)
    if last is None:
        return None
    there, mine = origin_of(ledger, last), origin_of(ledger, execution)
    return there if _is_newer(there, mine) else None


def refuse_older(ledger: Ledger, environment: str, execution: Execution) -> None:
    """Refuse to replace what is newer, unless that is what is meant.

    Newer is what a newer execution has made, and what a later one has decided on: after
    a rollback nothing that was under way before it comes in. It holds only for whoever
    has the environment's lease; else another may bring something newer meanwhile.

    Raises:
        Refused: The environment runs something newer.
    """
    meant = execution.carried is not None and execution.carried.older
    if execution.is_rollback or meant:
        return
    newer = newer_in(ledger, environment, execution)
    last = last_in(ledger, environment)
    if newer is None and last is not None and _is_newer(last, execution):
        newer = last
    if newer is not None:
        older = origin_of(ledger, execution)
        raise Refused(
            f"{environment} runs {newer.title}, which is newer than {older.title}",
            hint=f"to go back: deliver rollback {execution.pipeline} STAGE"
            f" --to {older.number}",
        )


def _is_newer(one: Execution, other: Execution) -> bool:
    return one.pipeline == other.pipeline and one.number > other.number
