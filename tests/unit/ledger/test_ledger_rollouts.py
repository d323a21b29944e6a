from collections.abc import Callable

import pytest

from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger import EnvironmentState, Lease, Ledger, Release, Rollout

MakeRelease = Callable[[str], Release]
Deploy = Callable[..., str]


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    return ledger.leases.take("production", holder="worker", ttl=30)


@pytest.fixture
def rollout(ledger: Ledger, lease: Lease, make_release: MakeRelease) -> Rollout:
    return ledger.rollouts.open(
        lease,
        environment="production",
        release=make_release("a").digest,
        previous=None,
        execution_id="x",
        kind="forward",
    )


def test_the_journal_tells_what_was_intended_and_what_came_of_it(
    ledger: Ledger, lease: Lease, rollout: Rollout
) -> None:
    first = ledger.rollouts.intend(lease, rollout.id, "prepare", {"slot": "blue"})
    ledger.rollouts.record(lease, rollout.id, first, "done")
    second = ledger.rollouts.intend(lease, rollout.id, "shift", {"percent": 10})

    prepare, shift = ledger.rollouts.get(rollout.id).steps
    assert (first, second) == (1, 2)
    assert (prepare.seq, prepare.verb, prepare.detail) == (
        1,
        "prepare",
        {"slot": "blue"},
    )
    assert (prepare.outcome, prepare.ended) == ("done", prepare.intended)
    assert (shift.verb, shift.outcome, shift.ended) == ("shift", None, None)


def test_an_environment_has_one_unfinished_rollout(
    ledger: Ledger, lease: Lease, rollout: Rollout
) -> None:
    with pytest.raises(Refused, match="'production' has an unfinished rollout"):
        ledger.rollouts.open(
            lease,
            environment="production",
            release=rollout.release,
            previous=None,
            execution_id="y",
            kind="rollback",
        )

    assert ledger.rollouts.unfinished() == [rollout]
    assert ledger.rollouts.unfinished("production") == [rollout]
    assert ledger.rollouts.unfinished("staging") == []


def test_a_committed_rollout_makes_its_release_current(
    ledger: Ledger, lease: Lease, rollout: Rollout
) -> None:
    ledger.rollouts.close(lease, rollout.id, "committed")
    ledger.rollouts.close(lease, rollout.id, "committed")

    closed = ledger.rollouts.get(rollout.id)
    assert (closed.status, closed.closed) == ("committed", closed.opened)
    assert ledger.environments.get("production").current == rollout.release
    assert ledger.rollouts.unfinished() == []
    with pytest.raises(Refused, match="is closed: committed"):
        ledger.rollouts.close(lease, rollout.id, "rolled-back")
    with pytest.raises(Refused, match="is closed: committed"):
        ledger.rollouts.intend(lease, rollout.id, "shift")


def test_an_outcome_is_recorded_once(
    ledger: Ledger, lease: Lease, rollout: Rollout
) -> None:
    seq = ledger.rollouts.intend(lease, rollout.id, "prepare")
    ledger.rollouts.record(lease, rollout.id, seq, "done")
    ledger.rollouts.record(lease, rollout.id, seq, "done")

    with pytest.raises(Refused, match=r"step 1 of rollout .* ended: done"):
        ledger.rollouts.record(lease, rollout.id, seq, "failed")
    with pytest.raises(Refused, match=r"step 2 of rollout .* was not intended"):
        ledger.rollouts.record(lease, rollout.id, 2, "done")


def test_a_failed_rollback_locks_the_environment_until_a_person_unlocks_it(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b = map(make_release, "ab")
    deploy(a)
    deploy(b, "rollback-failed")

    with pytest.raises(Refused, match="'production' is locked: no answer") as refused:
        deploy(b)
    assert "deliver env unlock production -m REASON" in (refused.value.hint or "")
    assert ledger.environments.get("production") == EnvironmentState(
        name="production", kind="", current=a.digest, locked="no answer"
    )

    ledger.leases.release(ledger.leases.held()[0])
    ledger.environments.unlock("production", by="ann", reason="repaired by hand")
    deploy(b)
    assert ledger.releases.current("production") == b


WRITES: dict[str, Callable[[Ledger, Lease, Rollout], object]] = {
    "open": lambda ledger, lease, rollout: ledger.rollouts.open(
        lease,
        environment="staging",
        release=rollout.release,
        previous=None,
        execution_id="y",
        kind="forward",
    ),
    "intend": lambda ledger, lease, rollout: ledger.rollouts.intend(
        lease, rollout.id, "shift"
    ),
    "record": lambda ledger, lease, rollout: ledger.rollouts.record(
        lease, rollout.id, 1, "done"
    ),
    "close": lambda ledger, lease, rollout: ledger.rollouts.close(
        lease, rollout.id, "committed"
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_worker_that_lost_its_lease_writes_nothing(
    ledger: Ledger,
    lease: Lease,
    rollout: Rollout,
    pass_time: Callable[[float], None],
    write: Callable[[Ledger, Lease, Rollout], object],
) -> None:
    ledger.rollouts.intend(lease, rollout.id, "prepare")
    pass_time(31)
    successor = ledger.leases.take("production", holder="successor", ttl=30)
    before = ledger.audit.entries(), ledger.rollouts.get(rollout.id)

    with pytest.raises(LeaseLost, match="successor has it now"):
        write(ledger, lease, rollout)

    assert (ledger.audit.entries(), ledger.rollouts.get(rollout.id)) == before
    write(ledger, successor, rollout)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_released_lease_writes_nothing(
    ledger: Ledger,
    lease: Lease,
    rollout: Rollout,
    write: Callable[[Ledger, Lease, Rollout], object],
) -> None:
    ledger.leases.release(lease)

    with pytest.raises(LeaseLost, match="it was released"):
        write(ledger, lease, rollout)


def test_another_environments_lease_does_not_do(
    ledger: Ledger, rollout: Rollout
) -> None:
    other = ledger.leases.take("staging", holder="worker", ttl=30)

    with pytest.raises(LeaseLost, match="needs 'production', not 'staging'"):
        ledger.rollouts.close(other, rollout.id, "committed")


def test_only_a_known_release_is_rolled_out(ledger: Ledger, lease: Lease) -> None:
    with pytest.raises(Refused, match="there is no release nonsense"):
        ledger.rollouts.open(
            lease,
            environment="production",
            release="nonsense",
            previous=None,
            execution_id="x",
            kind="forward",
        )

    assert ledger.rollouts.unfinished() == []
    assert ledger.environments.list() == []


def test_the_history_is_newest_first(
    ledger: Ledger, make_release: MakeRelease, deploy: Deploy
) -> None:
    a, b = map(make_release, "ab")
    ids = [deploy(a), deploy(b, "rolled-back"), deploy(a)]

    history = ledger.rollouts.history("production")

    assert [rollout.id for rollout in history] == ids[::-1]
    assert [rollout.id for rollout in ledger.rollouts.history("production", 1)] == [
        ids[2]
    ]
    assert (history[1].status, history[1].reason) == ("rolled-back", "unhealthy")
    assert (history[2].previous, history[1].previous) == (None, a.digest)
    with pytest.raises(Refused, match="there is no rollout nonsense"):
        ledger.rollouts.get("nonsense")
