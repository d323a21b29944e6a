"""What is left when a deployed run is ended before its time."""

from pathlib import Path

import pytest
from deployed import Deployed, Machine, Server, alive, deploy, running, stubborn, until
from repository import Shop

from prefect_delivery.engine.state import Status
from prefect_delivery.flows.reconcile import set_right


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


def test_what_a_killed_worker_leaves_is_set_right(
    server: Server, shop: Shop, home: Path, mark: Path, tmp_path: Path
) -> None:
    (tmp_path / "machine").mkdir()
    machine = Machine(tmp_path / "machine", server.url)
    with deploy(machine, "killed") as deployed:
        deployed.run(shop, home)
        build = running(shop, mark)

        deployed.worker.kill()
        deployed.worker.wait()
        build.process.kill()
        until(lambda: not alive([build.process]), "the end of the flow's process")
        said: list[str] = []
        set_right(shop.ledger, said.append)

    build.nothing_is_left()
    ended = shop.ledger.executions.find("shop")
    assert ended.status is Status.STOPPED
    assert any("deliver retry shop 1" in line for line in said)
