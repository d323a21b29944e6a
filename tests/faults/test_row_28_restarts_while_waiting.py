"""Row 28: an execution waits for an approval while the server and the worker are killed
and started again, and the clock jumps by hours or days.

To wait is data. The run is suspended: no process, no slot of a worker. Whoever approves
after it all resumes it, and it goes on from there; what has run does not run again.

pytest tests/faults/test_row_28_restarts_while_waiting.py -k "seed17-"
"""

import random
from pathlib import Path
from uuid import UUID

import pytest
from auditor import audit
from deployed import Deployed, Machine, Server, deploy, start_worker, until
from repository import Shop
from seeds import seeded

from prefect_delivery.engine.state import Status
from prefect_delivery.ledger import Ledger

ASKING = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with: {commands: [mkdir dist, touch dist/greeting]}
      sure: {uses: approval/manual, run_order: 2}
"""
LIBRARY = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
JUMPS = ["+1h", "+26h", "+6d"]
"""Forward: a worker whose clock is behind the server's takes up nothing until it is due."""

pytestmark = pytest.mark.skipif(not LIBRARY, reason="faketime is not installed")


@seeded(one_in=3)
def test_an_approval_outlives_restarts_and_the_clock(
    home: Path, tmp_path: Path, seed: str
) -> None:
    chance = random.Random(seed)
    shop = asking_shop(tmp_path)
    server = Server(tmp_path / "server")
    server.start()
    (tmp_path / "machine").mkdir()
    more = {
        "PREFECT_DELIVERY_HOME": str(home),
        "PREFECT_DELIVERY_SUSPEND_AFTER": "0",
        "PREFECT_DELIVERY_LEASE": "2",
    }
    machine = Machine(tmp_path / "machine", server.url, more)
    try:
        with deploy(machine, "waiting", "delivery") as made:
            flow_run = made.run(shop, home)
            until(lambda: state_of(made, flow_run) == "Suspended", "the suspension")
            for victim in chance.sample(["server", "worker"], 2):
                if victim == "worker":
                    made.worker.kill()
                else:
                    server.kill()
            server.start()
            machine.more |= {
                "FAKETIME": chance.choice(JUMPS),
                "LD_PRELOAD": str(LIBRARY[0]),
            }
            start_worker(machine, "waiting", "delivery")

            told = machine.call("deliver", "approve", "shop")

            assert told.returncode == 0, told.stderr
            # The process that was about to end when its worker was killed may tell the
            # server much later that it crashed; reconciling carries the run out again.
            until(lambda: reconciled(machine, made, flow_run), "the end")
    finally:
        server.kill()
    (ended,) = shop.ledger.executions.list("shop")
    assert ended.status is Status.SUCCEEDED
    assert len(ended.stages["Build"].actions["package"]) == 1
    audit(shop.ledger, {})


def asking_shop(tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Shop(folder, Ledger.open())
    shop.git("init", "-q", "-b", "main")
    shop.git("config", "user.name", "Ann")
    shop.git("config", "user.email", "ann@shop.example")
    shop.define(ASKING)
    return shop


def state_of(deployed: Deployed, flow_run: UUID) -> str | None:
    state = deployed.client.read_flow_run(flow_run).state
    return state.name if state else None


def reconciled(machine: Machine, deployed: Deployed, flow_run: UUID) -> bool:
    """What happens each minute; says whether the run has completed."""
    machine.call("deliver", "reconcile")
    return state_of(deployed, flow_run) == "Completed"
