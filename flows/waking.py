"""Lets Prefect carry on deployed runs that can go on, and those that lost their process.

Prefect refuses and forgets a resumption that comes before the suspension, restarts
nothing by itself, and its states are wrong both ways. So the ledger says who can go on,
and this may be repeated at any time.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Cancelled

from prefect_delivery.errors import Refused
from prefect_delivery.flows.close import close
from prefect_delivery.flows.prefect_runs import (
    PAGE,
    STARTING,
    age,
    carry_out_again,
    executions_of,
    pages,
    runs_in,
)
from prefect_delivery.flows.suspension import GO_ON
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Ledger, Unattended
from prefect_delivery.readiness import can_go_on
from prefect_delivery.settings import settings

Say = Callable[[str], None]
MOST_RUNS = 100
"""Times that a run is carried out again before its execution is given up."""


def wake(ledger: Ledger, say: Say, *, pipeline: str | None = None) -> None:
    """Carry on what waits and can go on, and what nobody drives any more.

    Args:
        pipeline: Only executions of this one.
    """
    with get_client(sync_client=True) as client:
        tags = [f"pipeline:{pipeline}"] if pipeline else []
        suspended = runs_in(client, StateType.PAUSED, tags=tags)
        paused = {str(run.id): run for run in suspended}
        known = executions_of(ledger, [*paused])
        unattended = {u.execution_id: u for u in ledger.executions.unattended(pipeline)}
        for flow_run, execution_id in known.items():
            lost = unattended.pop(execution_id, None)
            _wake(ledger, client, say, paused[flow_run], execution_id, lost)
        _take_over(ledger, client, say, [*unattended.values()])


def _wake(
    ledger: Ledger,
    client: SyncPrefectClient,
    say: Say,
    flow_run: FlowRun,
    execution_id: str,
    lost: Unattended | None,
) -> None:
    """Resume a suspended run whose execution can go on."""
    execution = ledger.executions.get(execution_id)
    if lost is None and not execution.status.ended:
        return  # its process has written that it waits, and is about to end
    if not can_go_on(ledger, execution, datetime.now(UTC)):
        return
    assert flow_run.state is not None  # noqa: S101 - it was found by its state
    form = flow_run.state.state_details.run_input_keyset
    answer = {"decision": GO_ON} if form else None
    result = client.resume_flow_run(flow_run.id, run_input=answer)
    if result.status == SetStateStatus.ACCEPT:
        say(f"{execution.title}: goes on")


def _take_over(
    ledger: Ledger, client: SyncPrefectClient, say: Say, lost: list[Unattended]
) -> None:
    """Carry out again the runs that have no process; close what Prefect has given up."""
    for some in pages(lost):
        ids = [UUID(each.flow_run) for each in some]
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=ids))
        runs = {
            str(run.id): run
            for run in client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)
        }
        for each in some:
            _set_right(ledger, client, say, each, runs.get(each.flow_run))


def _set_right(
    ledger: Ledger,
    client: SyncPrefectClient,
    say: Say,
    lost: Unattended,
    flow_run: FlowRun | None,
) -> None:
    state = flow_run.state if flow_run else None
    if flow_run is None or state is None:
        _close(ledger, say, lost, "its Prefect flow run was deleted")
    elif state.is_cancelled() or (state.is_cancelling() and _is_silent(lost)):
        _close(ledger, say, lost, "its Prefect flow run was cancelled")
        if state.is_cancelling():
            # Whoever would have said so has lost its process.
            client.set_flow_run_state(flow_run.id, Cancelled(), force=True)
    elif flow_run.run_count >= MOST_RUNS:
        _close(ledger, say, lost, f"its flow run has ended {MOST_RUNS} times")
    elif (
        state.is_final()
        or (state.is_running() and _is_silent(lost))
        or (state.is_pending() and age(state) > STARTING)
    ):
        carry_out_again(client, flow_run)
        title = ledger.executions.get(lost.execution_id).title
        say(f"{title}: its process has ended; it is carried out again")


def _is_silent(lost: Unattended) -> bool:
    """Whether a process has had time enough to say that it lives, or to suspend."""
    return lost.silent > (0 if lost.holder else settings().lease)


def _close(ledger: Ledger, say: Say, lost: Unattended, reason: str) -> None:
    try:
        attempt = ledger.executions.claim(
            lost.execution_id, holder=this_holder(), ttl=settings().lease, dead=is_dead
        )
    except Refused:
        return  # somebody drives it again, or it has ended
    close(ledger, attempt, reason)
    ledger.executions.leave(attempt)
    say(f"{ledger.executions.get(lost.execution_id).title}: stopped, {reason}")
