"""Sets right the runs that lost their process before they had an execution, or after it.

The ledger knows of no process of theirs: a worker was killed while it started them or
while it told Prefect how they ended, or Prefect's server failed them in a rush. Prefect
leaves them as they are, for ever.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import FlowRun, State
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelled, Crashed

from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.flows.prefect_runs import (
    STARTING,
    age,
    carry_out_again,
    executions_of,
    runs_in,
)
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

Say = Callable[[str], None]
UNFINISHED = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
AGAIN = "AwaitingRetry"
"""Name of the state that `carry_out_again` brings a run into."""
MOST_BEGINNINGS = 3
"""Times that a run is carried out again which was lost before it began, or after."""
LEAVING = 300.0
"""Seconds that a process may take to tell Prefect how its execution ended."""
CANCELLING = 120.0
"""Seconds that a worker may take to end a run: 30, and what its hooks need."""


def set_lost_runs_right(ledger: Ledger, say: Say) -> None:
    """Carry out again, or end in Prefect, the runs that nobody carries out.

    Those whose execution goes on are left to `waking`.
    """
    with get_client(sync_client=True) as client:
        found = [
            run
            for run in runs_in(client, StateType.CRASHED, *UNFINISHED)
            if run.deployment_id is not None
        ]
        known = executions_of(ledger, [str(run.id) for run in found])
        for run in found:
            if _is_lost(ledger, run, known.get(str(run.id))):
                _set_right(client, run, say)


def may_begin_again(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether a run that was lost has not been carried out again too often."""
    states = client.read_flow_run_states(run.id)
    return sum(state.name == AGAIN for state in states) < MOST_BEGINNINGS


def _is_lost(ledger: Ledger, run: FlowRun, execution_id: str | None) -> bool:
    """Whether a run has to go on, or to end, and no process sees to that."""
    since = age(_state(run))
    if execution_id is not None:
        if _state(run).is_crashed() or since < LEAVING:
            return False
        ended = ledger.executions.get(execution_id).ended
        return ended is not None and _age(ended) > LEAVING
    match _state(run).type:
        case StateType.CRASHED:
            triggered = _triggered(ledger, run)
            return since < STARTING if triggered is None else triggered.ended is None
        case StateType.PENDING:
            return since > STARTING
        case StateType.CANCELLING:
            return since > CANCELLING
        case _:
            return since > settings().lease


def _triggered(ledger: Ledger, run: FlowRun) -> Execution | None:
    """The execution that a run was made for, if it was there before the run."""
    execution_id = run.parameters.get("execution_id")
    try:
        return ledger.executions.get(execution_id) if execution_id else None
    except Refused:
        return None  # it is of another ledger


def _set_right(client: SyncPrefectClient, run: FlowRun, say: Say) -> None:
    state = _state(run)
    if state.is_cancelling():
        gone = "nobody was left to end it"
        client.set_flow_run_state(run.id, Cancelled(message=gone), force=True)
        say(f"{run.name}: cancelled, {gone}")
    elif may_begin_again(client, run):
        carry_out_again(client, run)
        say(f"{run.name}: its process was lost; it is carried out again")
    elif not state.is_final():
        often = f"its process was lost {MOST_BEGINNINGS + 1} times"
        client.set_flow_run_state(run.id, Crashed(message=often), force=True)
        say(f"{run.name}: given up, {often}")


def _state(run: FlowRun) -> State:
    assert run.state is not None  # noqa: S101 - it was found by its state
    return run.state


def _age(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
