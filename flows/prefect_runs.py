"""The flow runs of pipelines, as Prefect's server has them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import FlowRun, State
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.states import AwaitingRetry

from prefect_delivery.ledger import Ledger

Item = TypeVar("Item")
TAG = "delivery"
PAGE = 200
"""Flow runs that Prefect hands out at once."""
STARTING = 900.0
"""Seconds that a worker may take to bring a run to life."""


def runs_in(
    client: SyncPrefectClient, *states: StateType, tags: Sequence[str] = ()
) -> Iterator[FlowRun]:
    """The runs of the pipeline flow in any of these states.

    Args:
        tags: That they have besides.
    """
    offset = 0
    while found := client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=["pipeline"])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[*states])),
            tags=FlowRunFilterTags(all_=[TAG, *tags]),
        ),
        limit=PAGE,
        offset=offset,
    ):
        yield from found
        offset += len(found)


def executions_of(ledger: Ledger, flow_runs: Sequence[str]) -> dict[str, str]:
    """Ids of the executions that flow runs drive, by flow run."""
    found: dict[str, str] = {}
    for some in pages(flow_runs):
        found |= ledger.executions.by_flow_run(some)
    return found


def carry_out_again(client: SyncPrefectClient, flow_run: FlowRun) -> None:
    """Have a worker carry out a run again, whatever state it is in."""
    assert flow_run.state is not None  # noqa: S101 - it was found by its state
    # Due at once, by the clock of the server: ours may be ahead of it.
    again: State = AwaitingRetry(scheduled_time=flow_run.state.timestamp)
    client.set_flow_run_state(flow_run.id, again, force=True)


def age(state: State) -> float:
    """Seconds since a run came into a state."""
    return (datetime.now(UTC) - state.timestamp).total_seconds()


def pages(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The items, as many at a time as Prefect takes."""
    rest = iter(items)
    while some := [*islice(rest, PAGE)]:
        yield some
