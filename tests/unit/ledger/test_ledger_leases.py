from collections.abc import Callable

import pytest

from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger import Lease, Ledger

USES: dict[str, Callable[[Ledger, Lease], None]] = {
    "check": lambda ledger, lease: ledger.leases.check(lease),
    "renew": lambda ledger, lease: ledger.leases.renew(lease),
}


def test_a_lease_is_held_by_one(ledger: Ledger) -> None:
    lease = ledger.leases.take("production", holder="ann", ttl=30)

    with pytest.raises(Refused, match="'production' is being changed by ann until"):
        ledger.leases.take("production", holder="bob", ttl=30)
    with pytest.raises(Refused, match="by ann"):
        ledger.leases.take("production", holder="ann", ttl=30)

    ledger.leases.check(lease)
    assert ledger.leases.held() == [lease]
    assert ledger.leases.take("staging", holder="bob", ttl=30).token == 1


def test_tokens_grow_over_release_expiry_and_death(
    ledger: Ledger, pass_time: Callable[[float], None]
) -> None:
    first = ledger.leases.take("production", holder="ann", ttl=30)
    ledger.leases.release(first)
    second = ledger.leases.take("production", holder="bob", ttl=30)
    pass_time(30)
    third = ledger.leases.take("production", holder="cid", ttl=30)
    fourth = ledger.leases.take("production", holder="dan", ttl=30, dead="cid".__eq__)

    assert [first.token, second.token, third.token, fourth.token] == [1, 2, 3, 4]


def test_tokens_grow_over_a_restart(ledger: Ledger, ledger_url: str) -> None:
    ledger.leases.release(ledger.leases.take("production", holder="ann", ttl=30))

    with Ledger(ledger_url) as reopened:
        assert reopened.leases.take("production", holder="bob", ttl=30).token == 2


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_lease_is_lost_to_the_next_holder(
    ledger: Ledger,
    pass_time: Callable[[float], None],
    use: Callable[[Ledger, Lease], None],
) -> None:
    lost = ledger.leases.take("production", holder="frozen", ttl=30)
    pass_time(31)
    taken = ledger.leases.take("production", holder="successor", ttl=30)

    with pytest.raises(LeaseLost, match="successor has it now"):
        use(ledger, lost)

    ledger.leases.release(lost)
    ledger.leases.check(taken)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_released_lease_is_of_no_more_use(
    ledger: Ledger, use: Callable[[Ledger, Lease], None]
) -> None:
    lease = ledger.leases.take("production", holder="ann", ttl=30)
    ledger.leases.release(lease)

    with pytest.raises(LeaseLost, match="it was released"):
        use(ledger, lease)

    assert ledger.leases.held() == []


def test_an_expired_lease_that_nobody_took_is_renewed(
    ledger: Ledger, pass_time: Callable[[float], None]
) -> None:
    lease = ledger.leases.take("production", holder="ann", ttl=30)
    pass_time(45)

    ledger.leases.renew(lease)

    with pytest.raises(Refused):
        ledger.leases.take("production", holder="bob", ttl=30)
