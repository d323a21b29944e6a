"""Row 9: a build's child processes ignore SIGTERM and leave their session, and the
execution ends: killed, told to end, or stopped by a person.

Every process that came of the command is ended, by SIGKILL after some seconds of grace.
Nothing is left, also when the process that drives the execution is killed itself.

pytest tests/faults/test_row_09_stubborn_children.py -k "seed17-"
"""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from polling import until
from processes import Child
from projects import Project
from seeds import number_of, seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Status
from prefect_delivery.flows.reconcile import set_right

ENDS = ["killed", "told", "stopped"]


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """An argument by which the processes of this test are known."""
    return f"86400.{abs(hash(tmp_path)) % 10**9}"


@seeded()
def test_no_process_is_left(
    project: Project, tmp_path: Path, mark: str, seed: str
) -> None:
    chance = random.Random(seed)
    spawn = ["sleep", "setsid sleep", '(setsid sh -c \'trap "" TERM; sleep']
    chosen = chance.sample(spawn, chance.randint(1, 3))
    children = [f"{c} {mark}{chr(39) + ')' if '(' in c else ''} &" for c in chosen]
    project.publish(
        *children, "trap '' TERM", f"touch {tmp_path / 'runs'}", f"sleep {mark}"
    )
    execution = project.start()
    driver = project.in_child(execution)
    until((tmp_path / "runs").exists)
    assert running(mark)
    time.sleep(chance.uniform(0, 0.2))

    end(driver, project, ENDS[number_of(seed) % len(ENDS)])
    driver.wait()

    until(lambda: not running(mark))
    set_right(project.ledger, print)
    assert project.ledger.executions.get(execution.id).status is Status.STOPPED
    project.audit()


def end(driver: Child, project: Project, how: str) -> None:
    match how:
        case "killed":
            driver.kill()
        case "told":
            os.kill(driver.pid, signal.SIGTERM)
        case _:
            control.stop(project.ledger, "shop", by="ann", abandon=True)


def running(mark: str) -> list[psutil.Process]:
    """Processes that have the mark as an argument."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if mark in (process.info["cmdline"] or [])
    ]
