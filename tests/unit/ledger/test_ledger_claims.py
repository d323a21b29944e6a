from collections.abc import Callable

import pytest

from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger import Attempt, Ledger

WRITES: dict[str, Callable[[Ledger, Attempt], object]] = {
    "enter_stage": lambda ledger, attempt: ledger.executions.enter_stage(
        attempt, "Build"
    ),
    "begin_action": lambda ledger, attempt: ledger.executions.begin_action(
        attempt, "Source", "run", 2
    ),
    "end_action": lambda ledger, attempt: ledger.executions.end_action(
        attempt, "Source", "run", 1, Status.SUCCEEDED
    ),
    "end_stage": lambda ledger, attempt: ledger.executions.end_stage(
        attempt, "Source", Status.FAILED
    ),
    "end": lambda ledger, attempt: ledger.executions.end(attempt, Status.FAILED),
    "set_status": lambda ledger, attempt: ledger.executions.set_status(
        attempt, Status.WAITING
    ),
    "note_revision": lambda ledger, attempt: ledger.executions.note_revision(
        attempt, "app", "c0ffee"
    ),
    "renew": lambda ledger, attempt: ledger.executions.renew(attempt),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_older_attempt_writes_nothing(
    ledger: Ledger, attempt: Attempt, write: Callable[[Ledger, Attempt], object]
) -> None:
    ledger.executions.enter_stage(attempt, "Source")
    ledger.executions.begin_action(attempt, "Source", "run", 1)
    successor = ledger.executions.claim(
        attempt.execution_id, holder="successor", ttl=30, dead=lambda _: True
    )
    before = ledger.executions.get(attempt.execution_id), ledger.audit.entries()

    with pytest.raises(LeaseLost, match="successor runs it now"):
        write(ledger, attempt)

    after = ledger.executions.get(attempt.execution_id), ledger.audit.entries()
    assert after == before
    write(ledger, successor)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_attempt_that_was_left_writes_nothing(
    ledger: Ledger, attempt: Attempt, write: Callable[[Ledger, Attempt], object]
) -> None:
    ledger.executions.leave(attempt)

    with pytest.raises(LeaseLost, match="the claim was given back"):
        write(ledger, attempt)


def test_a_live_holder_keeps_others_out(ledger: Ledger, attempt: Attempt) -> None:
    with pytest.raises(Refused, match="shop #1 is being run by worker until 2026-03"):
        ledger.executions.claim(attempt.execution_id, holder="other", ttl=30)

    owner = ledger.executions.owner(attempt.execution_id)
    assert owner is not None
    assert (owner.holder, owner.expires, owner.expired) == (
        "worker",
        attempt.expires,
        False,
    )


def test_a_claim_is_taken_over_from_a_holder_that_died_or_let_it_expire(
    ledger: Ledger, attempt: Attempt, pass_time: Callable[[float], None]
) -> None:
    second = ledger.executions.claim(
        attempt.execution_id, holder="second", ttl=30, dead="worker".__eq__
    )
    pass_time(30)
    third = ledger.executions.claim(attempt.execution_id, holder="third", ttl=30)

    assert [attempt.number, second.number, third.number] == [1, 2, 3]


def test_a_holder_that_comes_again_outruns_itself(
    ledger: Ledger, attempt: Attempt
) -> None:
    again = ledger.executions.claim(attempt.execution_id, holder="worker", ttl=30)

    assert again.number == attempt.number + 1
    with pytest.raises(LeaseLost):
        ledger.executions.renew(attempt)


def test_the_number_grows_over_a_claim_that_was_given_back(
    ledger: Ledger, attempt: Attempt
) -> None:
    ledger.executions.leave(attempt)

    assert ledger.executions.owner(attempt.execution_id) is None
    next_one = ledger.executions.claim(attempt.execution_id, holder="other", ttl=30)
    assert next_one.number == 2


def test_leaving_a_lost_claim_does_not_disturb_its_new_owner(
    ledger: Ledger, attempt: Attempt
) -> None:
    ledger.executions.claim(
        attempt.execution_id, holder="other", ttl=30, dead=lambda _: True
    )

    ledger.executions.leave(attempt)

    owner = ledger.executions.owner(attempt.execution_id)
    assert owner and owner.holder == "other"


def test_a_renewed_claim_lasts_longer_and_an_expired_one_can_be_renewed(
    ledger: Ledger, attempt: Attempt, pass_time: Callable[[float], None]
) -> None:
    pass_time(45)
    owner = ledger.executions.owner(attempt.execution_id)
    assert owner and owner.expired

    ledger.executions.renew(attempt)

    with pytest.raises(Refused):
        ledger.executions.claim(attempt.execution_id, holder="other", ttl=30)


def test_an_execution_that_has_ended_cannot_be_claimed(
    ledger: Ledger, execution: Execution, attempt: Attempt
) -> None:
    ledger.executions.end(attempt, Status.SUCCEEDED)
    ledger.executions.leave(attempt)

    with pytest.raises(Refused, match="shop #1 has ended: succeeded"):
        ledger.executions.claim(execution.id, holder="other", ttl=30)
