"""Runs of deployed pipelines that nobody carries out, and why.

Somebody has started them in Prefect, or a change has, or they are to go on. The ledger
knows nothing of a run that has not begun an execution.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect_delivery.cli.terminal import complain, one_line
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import FlowRun

SOON = 30.0
"""Seconds in which a worker should have taken a run that is due."""
BEGUN = 60.0
"""Seconds in which a run should have begun that a worker has taken."""


def waiting_runs(
    ledger: Ledger, client: "SyncPrefectClient", pipeline: str | None = None
) -> list[str]:
    """What runs wait and for what, a line each.

    Args:
        pipeline: Only of this one.
    """
    from prefect.client.schemas.objects import StateType

    from prefect_delivery.flows.elsewhere import why_nothing_starts
    from prefect_delivery.flows.prefect_runs import runs_in

    found = []
    pools = dict[str, str | None]()
    deployed = {
        each.deployment: each.definition.pipeline for each in ledger.deployments.list()
    }
    for run in runs_in(client, StateType.SCHEDULED, StateType.PENDING):
        name = deployed.get(str(run.deployment_id))
        if name is None or pipeline not in {None, name} or not _is_late(run):
            continue
        pool = run.work_pool_name or ""
        if pool not in pools:
            pools[pool] = why_nothing_starts(client, pool) if pool else None
        found.append(
            f"{name}: the run '{run.name}' waits for {_since(run) / 60:.0f} minutes,"
            f" {_why(run, pools[pool])}"
        )
    return found


def tell_of_waiting_runs(ledger: Ledger, pipeline: str | None = None) -> None:
    """Say which runs wait, where pipelines are deployed and Prefect can be asked."""
    if not ledger.deployments.list():
        return
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    from prefect_delivery.deployments.reachable import PATIENCE, configured_server

    try:
        if configured_server() is None:
            return
        with get_client({"timeout": PATIENCE}, sync_client=True) as client:
            lines = waiting_runs(ledger, client, pipeline)
    except (Refused, HTTPError, PrefectException) as error:
        lines = [f"whether runs wait is not known: {error}"]
    for line in lines:
        complain(f"warning: {one_line(line)}")


def _is_late(run: "FlowRun") -> bool:
    assert run.state is not None  # noqa: S101 - it was found by its state
    return _since(run) > (BEGUN if run.state.is_pending() else SOON)


def _since(run: "FlowRun") -> float:
    """Seconds for which it could have begun."""
    assert run.state is not None  # noqa: S101 - it was found by its state
    due = run.state.timestamp
    if not run.state.is_pending():
        due = run.next_scheduled_start_time or run.expected_start_time or due
    return (datetime.now(UTC) - due).total_seconds()


def _why(run: "FlowRun", nothing_starts: str | None) -> str:
    if nothing_starts:
        return nothing_starts
    if run.state and run.state.is_pending():
        return "a worker has taken it and not begun it"
    return "no worker has taken it"
