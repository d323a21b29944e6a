"""Row 28: executions wait for an approval while the server and the worker are killed and
started again, and the clock jumps by hours or days.

To wait is data. The run is suspended: no process, no slot of a worker. Whoever approves
at whatever moment of it all, the execution is resumed and goes on from there; what has
run does not run again.

pytest tests/faults/test_row_28_restarts_while_waiting.py -k "seed10to19-"
"""

import random
from pathlib import Path

import pytest
from auditor import audit
from deployed import PATIENCE, Deployed, Machine, Server, deploy, start_worker, until
from repository import Shop
from seeds import batched

from prefect_delivery import control
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
MOMENTS = ["before", "between", "after"]
"""Of the restarts; an execution's seed says when it is approved."""

pytestmark = [
    pytest.mark.skipif(not LIBRARY, reason="faketime is not installed"),
    pytest.mark.timeout(1800),
]


@batched(10, handful=1)
def test_an_approval_outlives_restarts_and_the_clock(
    home: Path, tmp_path: Path, seeds: list[str]
) -> None:
    """One drama for all seeds, each of which is an execution."""
    chance = random.Random(seeds[0])
    shop = asking_shop(tmp_path)
    patience = PATIENCE + 20 * len(seeds)
    moments = [random.Random(seed).choice(MOMENTS) for seed in seeds]
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
            for _ in seeds:
                made.run(shop, home)
            waiting = ["Suspended"] * len(seeds)
            until(lambda: states(made) == waiting, "the suspensions", patience, 0.5)

            approve(shop, moments, "before")
            kills = [server.kill, made.worker.kill]
            for kill in chance.sample(kills, 2):
                kill()
                approve(shop, moments, chance.choice(["between", "none"]))
            approve(shop, moments, "between")
            server.start()
            machine.more |= {
                "FAKETIME": chance.choice(JUMPS),
                "LD_PRELOAD": str(LIBRARY[0]),
            }
            start_worker(machine, "waiting", "delivery")
            approve(shop, moments, "after")

            # The process that was about to end when its worker was killed may tell the
            # server much later that it crashed; reconciling carries the run out again.
            until(
                lambda: reconciled(machine, made, seeds), "the end", 2 * patience, 0.5
            )
    finally:
        server.kill()
    ended = shop.ledger.executions.list("shop", limit=len(seeds) + 1)
    assert [each.status for each in ended] == [Status.SUCCEEDED] * len(seeds)
    for each in ended:
        assert len(each.stages["Build"].actions["package"]) == 1
    audit(shop.ledger, {})


def asking_shop(tmp_path: Path) -> Shop:
    """One whose executions do not wait for each other."""
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Shop(folder, Ledger.open())
    shop.git("init", "-q", "-b", "main")
    shop.git("config", "user.name", "Ann")
    shop.git("config", "user.email", "ann@shop.example")
    shop.define(ASKING)
    with (folder / "delivery.yaml").open("a") as file:
        file.write("mode: parallel\n")
    return shop


def approve(shop: Shop, moments: list[str], now: str) -> None:
    """Approve the executions whose moment has come."""
    for number, moment in enumerate(moments, start=1):
        execution = shop.ledger.executions.find("shop", number)
        if moment == now and control.waiting_actions(execution):
            control.approve(shop.ledger, "shop", number, by="bob")


def states(deployed: Deployed) -> list[str | None]:
    runs = deployed.client.read_flow_runs()
    return [run.state.name if run.state else None for run in runs]


def reconciled(machine: Machine, deployed: Deployed, seeds: list[str]) -> bool:
    """What happens each minute; says whether all runs have completed soon after."""
    machine.call("deliver", "reconcile")
    completed = ["Completed"] * len(seeds)
    try:
        until(lambda: states(deployed) == completed, "completion", 40, every=0.5)
    except AssertionError:
        return False
    return True
