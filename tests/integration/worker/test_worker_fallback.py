"""A Prefect that our worker does not fit: it goes on as Prefect's own does."""

from work_pools import Pool

CHANGED = """
import sys
from prefect.runner._cancellation_manager import CancellationManager

class Kept:
    cancel = CancellationManager.cancel

async def cancel(self, run, state_msg=None):
    await Kept.cancel(self, run, state_msg)

CancellationManager.cancel = cancel
from prefect_delivery.cli import main
main()
"""


def test_a_worker_that_does_not_fit_says_so_once_and_works(pool: Pool) -> None:
    worker = pool.work("python", "-c", CHANGED, "worker", pool.name)

    runs = [pool.ask("worker_flows.noted") for _ in range(2)]

    assert [run.ended().state_name for run in runs] == ["Completed", "Completed"]
    assert worker.output.count("no warm starts with Prefect") == 1
    assert "cancel has other parameters: flow_run, run" in worker.output
