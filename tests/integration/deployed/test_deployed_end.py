"""What is left when a deployed run is ended before its time."""

from pathlib import Path
from uuid import UUID

import pytest
from deployed import (
    Deployed,
    Machine,
    Server,
    alive,
    deploy,
    running,
    seen_by_prefect,
    start_worker,
    stubborn,
    until,
)
from repository import Shop

from prefect_delivery.engine.state import Status
from prefect_delivery.settings import settings

ROLLOUT = """
  Site:
    actions:
      deploy: {uses: deploy/environment, inputs: site, with: {environment: site}}
environments:
  site:
    kind: host
    root: %(root)s
    hooks:
      before: ['setsid sleep 651 & trap "" TERM; touch %(mark)s; sleep 652']
"""


@pytest.fixture
def mark(shop: Shop, tmp_path: Path) -> Path:
    """Is there once the shop's build runs."""
    made = tmp_path / "mark"
    stubborn(shop, made)
    return made


def test_a_run_that_is_cancelled_in_the_ui_leaves_nothing(
    deployed: Deployed, shop: Shop, home: Path, mark: Path
) -> None:
    flow_run = deployed.run(shop, home)
    build = running(shop, mark)

    deployed.cancel(flow_run)
    seen = deployed.ended(flow_run)

    assert seen.state_name == "Cancelled", seen.state
    build.nothing_is_left()
    ended = shop.ledger.executions.find("shop")
    assert ended.status is Status.STOPPED
    assert ended.reason == "its Prefect flow run was cancelled"
    assert "its Prefect flow run was cancelled" in deployed.seen(flow_run).page


def test_a_rollout_that_is_cancelled_in_the_ui_is_undone(
    deployed: Deployed, shop: Shop, home: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    with (shop.folder / "delivery.yaml").open("a") as definition:
        definition.write(ROLLOUT % {"root": tmp_path / "site", "mark": mark})
    flow_run = deployed.run(shop, home)
    rollout = running(shop, mark)
    (lease,) = shop.ledger.leases.held()

    deployed.cancel(flow_run)
    seen = deployed.ended(flow_run)

    assert lease.name.endswith("site")
    assert seen.state_name == "Cancelled", seen.state
    rollout.nothing_is_left()
    assert shop.ledger.executions.find("shop").status is Status.STOPPED
    (undone,) = shop.ledger.rollouts.history(lease.name)
    assert undone.status == "rolled-back"
    assert not (tmp_path / "site" / "current").exists()


def test_a_run_whose_process_is_told_to_end_leaves_nothing(
    deployed: Deployed, shop: Shop, home: Path, mark: Path
) -> None:
    flow_run = deployed.run(shop, home)
    build = running(shop, mark)

    build.process.terminate()
    seen = deployed.ended(flow_run)

    assert seen.state_name == "Crashed", seen.state
    build.nothing_is_left()
    ended = shop.ledger.executions.find("shop")
    assert ended.status is Status.STOPPED
    assert ended.reason == "its process was told to end"


@pytest.mark.parametrize("kind", ["process", "delivery"])
def test_what_a_killed_worker_leaves_is_carried_out_by_the_next(
    server: Server, shop: Shop, home: Path, mark: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "machine").mkdir()
    more = {"PREFECT_DELIVERY_HOME": str(home), "PREFECT_DELIVERY_LEASE": "1"}
    machine = Machine(tmp_path / "machine", server.url, more)
    with deploy(machine, f"killed-{kind}", kind) as deployed:
        flow_run = deployed.run(shop, home)
        build = running(shop, mark)

        deployed.worker.kill()
        deployed.worker.wait()
        if kind == "process":
            # A worker of ours sees to that.
            build.process.kill()
        until(lambda: not alive(build.children), "the end of all children")

        def is_asked_again() -> bool:
            machine.call("deliver", "reconcile")
            state = deployed.client.read_flow_run(flow_run).state
            return state is not None and state.name == "AwaitingRetry"

        # Prefect takes the run for running, and its worker is no more.
        until(is_asked_again, "the takeover", every=0.5)
        assert list(settings().workspaces.iterdir()) == []
        mark.unlink()
        start_worker(machine, deployed.pool, kind)
        again = running(shop, mark)
        machine.call("deliver", "stop", "shop", "--abandon")
        deployed.ended(flow_run)

    again.nothing_is_left()
    assert again.execution.id == build.execution.id
    assert again.process.pid != build.process.pid
    assert shop.ledger.executions.find("shop").status is Status.STOPPED


DRIVER = """
import asyncio, os, signal, sys
from pathlib import Path
from prefect_delivery.flows.pipeline import pipeline


def tell():
    if not Path(sys.argv[2]).exists():
        asyncio.get_running_loop().call_later(0.05, tell)
        return
    os.kill(os.getpid(), signal.SIGTERM)


async def main():
    asyncio.get_running_loop().call_soon(tell)
    await pipeline(sys.argv[1])


asyncio.run(main())
"""


def test_a_signal_that_arrives_in_a_callback_is_not_missed(
    machine: Machine, shop: Shop, mark: Path
) -> None:
    definition = str(shop.folder / "delivery.yaml")

    driver = machine.start("python", "-c", DRIVER, definition, str(mark))
    driver.wait(timeout=60)

    ended = shop.ledger.executions.find("shop")
    assert (ended.status, ended.reason) == (
        Status.STOPPED,
        "its process was told to end",
    )
    assert shop.ledger.executions.owner(ended.id) is None
    assert ended.flow_run and machine.url
    seen = seen_by_prefect(machine.url, UUID(ended.flow_run))
    assert seen.flow_run.state_name == "Crashed"
