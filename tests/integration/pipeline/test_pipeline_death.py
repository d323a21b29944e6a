"""What is left when the process that drives an execution ends before its time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from repository import Shop

from prefect_delivery import control
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.flows.reconcile import set_right
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

DRIVER = """
import sys
from prefect_delivery.flows.run import Watch, run_execution
run_execution(sys.argv[1], Watch(lambda e: None, lambda a, l: None), local=True)
"""


class Driver:
    """Drives an execution in a process of its own, until its build command runs."""

    def __init__(self, shop: Shop, mark: Path) -> None:
        self._mark = mark
        shop.define(f"""
      package:
        uses: build/commands
        outputs: {{site: ["dist/**"]}}
        with:
          commands:
            - setsid sleep 641 &
            - trap "" TERM
            - test -e {mark}.go && mkdir dist && touch dist/greeting && exit 0
            - touch {mark}
            - sleep 642
""")
        self.execution: Execution = shop.start()
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, self.execution.id]
        )
        _until(mark.exists)
        self.children = [child.pid for child in _descendants(self.process.pid)]

    def let_go(self) -> None:
        """Have the build command succeed from now on."""
        Path(f"{self._mark}.go").touch()


def _descendants(pid: int) -> list[psutil.Process]:
    return list(psutil.Process(pid).children(recursive=True))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def _sleeps() -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] in (["sleep", "641"], ["sleep", "642"])
    ]


@pytest.fixture
def driver(shop: Shop, tmp_path: Path) -> Iterator[Driver]:
    made = Driver(shop, tmp_path / "mark")
    yield made
    made.process.kill()
    made.process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_and_no_workspace_is_left(
    driver: Driver, shop: Shop, number: signal.Signals
) -> None:
    assert driver.children and _sleeps()

    os.kill(driver.process.pid, number)
    driver.process.wait(timeout=60)

    _until(lambda: not any(psutil.pid_exists(pid) for pid in driver.children))
    _until(lambda: not _sleeps())
    set_right(Ledger.open(), print)
    assert list(settings().workspaces.iterdir()) == []
    ended = shop.ledger.executions.get(driver.execution.id)
    assert ended.status is Status.STOPPED
    assert shop.ledger.executions.owner(ended.id) is None


def test_an_execution_whose_process_was_killed_is_retried(
    driver: Driver, shop: Shop
) -> None:
    os.kill(driver.process.pid, signal.SIGKILL)
    driver.process.wait(timeout=60)
    said: list[str] = []
    set_right(Ledger.open(), said.append)
    driver.let_go()

    reopened = control.retry(shop.ledger, "shop", by="ann")
    ended = shop.drive(reopened, local=True)

    assert f"deliver retry shop {ended.number}" in said[0]
    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)


def test_another_process_takes_over_what_was_in_progress(
    driver: Driver, shop: Shop
) -> None:
    os.kill(driver.process.pid, signal.SIGKILL)
    driver.process.wait(timeout=60)
    driver.let_go()

    ended = shop.drive(driver.execution, local=True)

    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
    assert [r.attempt for r in ended.stages["Build"].actions["package"]] == [1]


def test_two_processes_do_not_drive_one_execution(driver: Driver, shop: Shop) -> None:
    with pytest.raises(Refused):
        shop.drive(driver.execution, local=True)
