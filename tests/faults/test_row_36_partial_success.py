"""Row 36: a release fails on 3 of 10 hosts of a fleet, or 3 of them go away meanwhile.

The rollout stops before fewer hosts than the minimum are healthy, and says what became of
each. Only hosts that were touched go back; the others never notice. A host that went away
is deployed to first, as soon as somebody deploys again.

pytest tests/faults/test_row_36_partial_success.py
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor import audit
from fleet_work import Fleet, Sshd

from prefect_delivery.blocks.host_service import free_port
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Release

STARTED = ["BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for all tests, each of which begins with a release on all hosts."""
    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_DELIVERY_HOME", str(folder / "home"))
        yield Fleet(folder, 10)


@pytest.fixture
def one(fleet: Fleet) -> Release:
    """The release on all hosts, which have forgotten how it came there."""
    one = fleet.release("one")
    fleet.deploy(fleet.block(minimum_healthy="AllAtOnce"), one)
    for name in fleet.names:
        fleet.events(name)
    return one


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "ssh", free_port())
    yield server
    server.stop()


def test_a_release_that_fails_on_three_of_ten_is_taken_from_those_it_reached(
    fleet: Fleet, one: Release
) -> None:
    block = fleet.block(minimum_healthy={"type": "HOST_COUNT", "value": 7})
    fails = 'case "$host" in *host1|*host4|*host7) exit 3;; esac'
    two = fleet.release("two", scripts={"ApplicationStart": fails})

    with pytest.raises(RolloutFailed) as caught:
        fleet.deploy(block, two)

    told = str(caught.value)
    failed = "ApplicationStart: ApplicationStart.sh ended with exit code 3"
    for number in (1, 4, 7):
        assert f"\n  host{number}: {failed}" in told
    for number in (0, 2, 3, 5, 6):
        assert f"\n  host{number}: deployed" in told
    for number in (8, 9):
        assert f"\n  host{number}: not touched" in told
        assert fleet.events(f"host{number}") == []
    back = [f"one {event}" for event in STARTED]
    assert fleet.events("host0")[-5:] == ["two ApplicationStop", *back]
    assert fleet.events("host1")[-5:] == ["one ApplicationStop", *back]
    assert block.observe() == fleet.current() == one.digest
    audit(fleet.ledger, {fleet.environment: block})


def test_hosts_that_go_away_stop_the_rollout_and_are_caught_up_with_later(
    fleet: Fleet, one: Release, sshd: Sshd
) -> None:
    fleet.addresses = {f"host{number}": sshd.host for number in (1, 2, 3)}
    block = fleet.block(minimum_healthy={"type": "HOST_COUNT", "value": 8})
    goes = (
        'case "$host" in *host1) echo $$ > "$host/script";'
        f" {sshd.death}; sleep 1000;; esac"
    )
    two = fleet.release("two", scripts={"ApplicationStart": goes})

    with pytest.raises(RolloutFailed) as caught:
        fleet.deploy(block, two)

    told = str(caught.value)
    assert "\n  host0: deployed" in told
    assert "\n  host1: host1 gave no answer" in told or "host1: host1 does not" in told
    for number in (2, 3):
        assert f"\n  host{number}: does not answer" in told
    for number in range(2, 10):
        assert fleet.events(f"host{number}") == []
    back = ["two ApplicationStop", *(f"one {event}" for event in STARTED)]
    assert fleet.events("host0")[-5:] == back
    # What answers runs the old release, whole.
    assert block.observe() == fleet.current() == one.digest

    sshd.start()
    assert block.observe() is None
    three = fleet.release("three")
    fleet.deploy(block, three)

    assert block.observe() == fleet.current() == three.digest
    script = (fleet.root("host1") / "script").read_text().strip()
    assert not Path(f"/proc/{script}").exists()
    audit(fleet.ledger, {fleet.environment: block})
