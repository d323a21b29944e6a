"""Executions of one pipeline that meet at a stage, and stages that fail."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import Shop

from prefect_delivery import control
from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

DRIVER = """
import sys
from prefect_delivery.flows.run import Watch, run_execution
run_execution(sys.argv[1], Watch(lambda e: None, lambda a, l: None), local=True)
"""


class Slow:
    """Executions whose Build stage goes on until it is told to end."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.go = folder / "go"
        shop.define(f"""
      package:
        uses: build/commands
        outputs: {{site: ["dist/**"]}}
        with:
          commands:
            - until test -e {self.go}; do sleep 0.05; done
            - mkdir dist
            - touch dist/greeting
""")

    def start(self) -> tuple[Execution, "subprocess.Popen[bytes]"]:
        execution = self.shop.start()
        driver = subprocess.Popen([sys.executable, "-c", DRIVER, execution.id])
        return execution, driver

    def stage(self, execution: Execution, stage: str = "Build") -> Status | None:
        run = self.shop.ledger.executions.get(execution.id).stages.get(stage)
        return run.status if run else None

    def status(self, execution: Execution) -> Status:
        return self.shop.ledger.executions.get(execution.id).status


@pytest.fixture
def slow(shop: Shop, tmp_path: Path) -> Slow:
    return Slow(shop, tmp_path)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)


def test_the_newest_of_those_that_wait_goes_on(slow: Slow) -> None:
    first, one = slow.start()
    until(lambda: slow.stage(first) is Status.IN_PROGRESS)
    second, two = slow.start()
    until(lambda: slow.stage(second) is Status.WAITING)
    third, three = slow.start()

    until(lambda: slow.status(second) is Status.SUPERSEDED)
    two.wait(timeout=60)
    slow.go.touch()
    for driver in (one, three):
        driver.wait(timeout=60)

    ends = [slow.status(execution) for execution in (first, second, third)]
    assert ends == [Status.SUCCEEDED, Status.SUPERSEDED, Status.SUCCEEDED]


def test_a_stage_of_a_killed_process_is_free_for_the_next(slow: Slow) -> None:
    first, one = slow.start()
    until(lambda: slow.stage(first) is Status.IN_PROGRESS)
    os.kill(one.pid, signal.SIGKILL)
    one.wait()
    slow.go.touch()

    second = slow.shop.drive(slow.shop.start(), local=True)

    assert second.status is Status.SUCCEEDED, second.reason
    assert slow.status(first) is Status.STOPPED


def test_a_frozen_stage_is_entered_when_it_is_thawed(slow: Slow) -> None:
    shop = slow.shop
    slow.go.touch()
    shop.drive(shop.start(), local=True)
    control.disable_transition(shop.ledger, "shop", "Deliver", by="ann", reason="party")
    execution = shop.start()

    driver = subprocess.Popen([sys.executable, "-c", DRIVER, execution.id])
    until(lambda: slow.status(execution) is Status.WAITING)
    held = shop.ledger.executions.get(execution.id)
    control.enable_transition(shop.ledger, "shop", "Deliver", by="bob")
    driver.wait(timeout=60)

    assert held.status is Status.WAITING
    assert held.stages["Deliver"].reason == "was disabled by ann: party"
    assert slow.status(execution) is Status.SUCCEEDED


def test_only_a_stage_that_exists_is_frozen(slow: Slow) -> None:
    slow.shop.start()

    with pytest.raises(Refused, match="no stage 'Delivery'"):
        control.disable_transition(
            slow.shop.ledger, "shop", "Delivery", by="ann", reason="typo"
        )


FLAKY = """
      package:
        uses: build/commands
        outputs: {{site: ["dist/**"]}}
        with: {{commands: [echo x >> {counter}, 'test "$(wc -l < {counter})" -ge {good}', mkdir dist, touch dist/greeting]}}
    on_failure: {{result: retry}}
"""


@pytest.mark.parametrize(
    ("good", "status", "attempts"), [(2, Status.SUCCEEDED, 2), (3, Status.FAILED, 2)]
)
def test_a_stage_is_retried_by_itself_once(
    shop: Shop, tmp_path: Path, good: int, status: Status, attempts: int
) -> None:
    shop.define(FLAKY.format(counter=tmp_path / "counter", good=good))

    ended = shop.drive(shop.start(), local=True)

    assert ended.status is status
    assert len(ended.stages["Build"].actions["package"]) == attempts


SITE = """
pipeline: site
environments:
  production: {{kind: host, root: {root}}}
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: {url}}}}}
  Production:
    actions:
      deploy: {{uses: deploy/environment, inputs: app, with: {{environment: production}}}}
      smoke:
        uses: test/commands
        run_order: 2
        with: {{commands: [test ! -e bad]}}
    on_failure: {{result: rollback}}
"""


@pytest.mark.parametrize("local", [True, False], ids=["local", "engine"])
def test_a_stage_that_fails_after_its_deploy_goes_back(
    shop: Shop, tmp_path: Path, request: pytest.FixtureRequest, local: bool
) -> None:
    if not local:
        request.getfixturevalue("prefect_server")
    root = tmp_path / "root"
    definition = load(SITE.format(root=root, url=shop.folder))
    good = shop.drive(control.start(shop.ledger, definition), local=local)
    (shop.folder / "bad").touch()
    shop.define()

    bad = shop.drive(control.start(shop.ledger, definition), local=local)

    back = Ledger.open().executions.find("site")
    assert (good.status, bad.status) == (Status.SUCCEEDED, Status.FAILED), bad.reason
    assert (back.number, back.status) == (3, Status.SUCCEEDED), back.reason
    assert (back.trigger, list(back.stages)) == ("automatic-rollback", ["Production"])
    assert not (root / "current" / "bad").exists()
    current = shop.ledger.releases.current("site/production")
    assert current and current.number == good.number
