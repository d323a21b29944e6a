"""Row 30: the clock jumps by an hour or a day, either way, under the process that drives
an execution; or the execution runs through a change of daylight saving time, a leap day
or the turn of a year.

Time-outs and delays go by a clock that does not jump, instants are kept in UTC, and the
order of attempts by their numbers. Who takes a living process for dead, because the
clock has jumped, takes the execution over; the other one can record nothing more. (What
a deployment window does at such hours: tests/unit/rules/test_windows.py.)

pytest tests/faults/test_row_30_clock_jumps.py -k "seed17-"
"""

import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from moved_clock import MovedClock
from polling import until
from projects import Project
from seeds import number_of, seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.reconcile import set_right

JUMPS = ["-3600", "+3600", "-86400", "+86400", "-90", "+90"]
INSTANTS = [
    ("Europe/Berlin", "2026-03-29 01:59:59"),
    ("Europe/Berlin", "2026-10-25 02:59:59"),
    ("America/New_York", "2026-11-01 01:59:59"),
    ("Australia/Lord_Howe", "2026-04-05 01:59:59"),
    ("UTC", "2028-02-28 23:59:59"),
    ("UTC", "2027-12-31 23:59:59"),
]

LIBRARY = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

pytestmark = pytest.mark.skipif(not LIBRARY, reason="faketime is not installed")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovedClock]:
    with MovedClock(LIBRARY[0], tmp_path_factory.mktemp("clock") / "time") as made:
        yield made


@seeded(handful=1)
def test_a_clock_that_jumps_harms_nothing(
    project: Project, clock: MovedClock, tmp_path: Path, seed: str
) -> None:
    chance, jump = random.Random(seed), JUMPS[number_of(seed) % len(JUMPS)]
    reached, go_on = tmp_path / "reached", tmp_path / "go-on"
    project.publish(
        f"touch {reached}",
        f"until test -e {go_on}; do sleep 0.02; done",
        # Fails once, so that a second attempt begins after the jump.
        f"test -e {go_on}.again || {{ touch {go_on}.again; exit 1; }}",
        build={"retry": {"attempts": 2, "delay": 0}, "timeout": 1},
    )
    clock.set("+0")
    execution = project.start()
    driver = clock.start("drive", execution.id)
    until(reached.exists)

    clock.set(jump)
    meddles = chance.random() < 0.5
    if meddles:
        assert clock.wait(clock.start("reconcile")) == 0
    go_on.touch()
    clock.wait(driver)

    ended = carried_on(project, execution)
    assert ended.status is Status.SUCCEEDED, ended.reason
    first, *later = ended.stages["Build"].actions["package"]
    assert [run.attempt for run in later] == [*range(2, len(later) + 2)]
    if not meddles:
        [second] = later
        moved = (second.started - first.started).total_seconds()
        assert abs(moved - int(jump)) < 60
    set_right(project.ledger, print)
    project.audit()


def carried_on(project: Project, execution: Execution) -> Execution:
    """What becomes of it, by a clock that is right again."""
    now = project.ledger.executions.get(execution.id)
    if now.status in {Status.STOPPED, Status.FAILED}:
        now = control.retry(project.ledger, "shop", by="ann")
    return now if now.status.ended else project.run(now)


@seeded(handful=1)
def test_an_execution_runs_through_an_odd_hour(
    project: Project, clock: MovedClock, seed: str
) -> None:
    zone, instant = INSTANTS[number_of(seed) % len(INSTANTS)]
    project.publish("sleep 1.5")
    execution = project.start()
    clock.set(f"@{instant}")

    assert clock.wait(clock.start("drive", execution.id, zone=zone)) == 0

    ended = project.ledger.executions.get(execution.id)
    assert ended.status is Status.SUCCEEDED, ended.reason
    moment = datetime.fromisoformat(instant).replace(tzinfo=ZoneInfo(zone))
    for run in ended.stages.values():
        assert run.started and run.ended
        assert abs((run.started - moment).days) <= 1
        assert 0 <= (run.ended - run.started).total_seconds() < 600
    project.audit()
