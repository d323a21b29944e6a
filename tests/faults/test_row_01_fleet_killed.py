"""Row 1: the process that deploys to a fleet is killed (SIGKILL) at any write of its
journal, or while a script runs on a host.

The script on the host ends with the process that wanted it. Whoever comes next brings
every host to one release: to the new one when all hosts had it, else to the old one.

pytest tests/faults/test_row_01_fleet_killed.py -k "seed17-"
"""

import signal
from pathlib import Path

import pytest
from auditor import audit
from deadly import Deadly
from fleet_work import Fleet
from polling import until
from processes import Child
from seeds import number_of, seeded

from prefect_delivery.blocks.fleet import FleetEnvironment
from prefect_delivery.ledger import Ledger, Release

WRITES = 16
"""Writes to the journal and the leases of one rollout."""


@pytest.fixture
def fleet(home: Path, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, 2)


def release(fleet: Fleet, version: str, script: str = "") -> Release:
    """A release with one file for each host, which tells its version."""
    install = f"files: [{{source: version, destination: {fleet.www}}}]\n"
    return fleet.release(
        version,
        appspec=install if len(fleet.names) == 1 else "",
        files={"version": version},
        scripts={"AfterInstall": script},
    )


def roll_out(fleet: Fleet, block: FleetEnvironment, new: Release, at: int) -> None:
    fleet.ledger = Ledger.open()
    Deadly(fleet.ledger, at, "after")
    fleet.deploy(block, new)


@seeded()
def test_a_rollout_killed_at_a_write_ends_on_one_release(
    fleet: Fleet, seed: str
) -> None:
    # Neighbouring seeds die far from each other, and 16 of them everywhere.
    at = 1 + (5 + 7 * number_of(seed)) % WRITES
    block = fleet.block()
    one, two = release(fleet, "one"), release(fleet, "two")
    fleet.deploy(block, one)
    died = Child(lambda: roll_out(fleet, block, two, at)).wait()
    assert died == -signal.SIGKILL

    assert Child(lambda: fleet.recover(block)).wait() == 0

    assert block.observe() in {one.digest, two.digest}
    assert block.observe() == fleet.current()
    assert fleet.ledger.rollouts.unfinished() == []
    assert fleet.ledger.leases.held() == []
    audit(fleet.ledger, {fleet.environment: block})


def test_every_write_is_counted(fleet: Fleet) -> None:
    block = fleet.block()
    fleet.deploy(block, release(fleet, "one"))
    counter = Deadly(fleet.ledger)

    fleet.deploy(block, release(fleet, "two"))

    assert counter.writes == WRITES


def test_a_script_ends_with_who_wanted_it(fleet: Fleet) -> None:
    fleet.names = ["host0"]
    block = fleet.block()
    one = release(fleet, "one")
    two = release(
        fleet, "two", 'echo $$ > "$host/new"; mv "$host/new" "$host/pid"; sleep 1000'
    )
    fleet.deploy(block, one)
    deploying = Child(lambda: roll_out(fleet, block, two, 0))
    pid = fleet.root("host0") / "pid"
    until(pid.exists)

    deploying.kill()
    deploying.wait()
    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
    assert Child(lambda: fleet.recover(block)).wait() == 0

    assert block.observe() == fleet.current() == one.digest
    assert (fleet.www / "version").read_text() == "one"
    assert [path.name for path in fleet.www.iterdir()] == ["version"]
    audit(fleet.ledger, {fleet.environment: block})
