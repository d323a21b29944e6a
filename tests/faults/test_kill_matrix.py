"""A rollout's process is killed at every write of its journal.

Whoever comes next brings the environment to the new release or to the old one, fully.
"""

import signal
from collections.abc import Callable
from typing import get_args

import pytest
from deadly import Deadly, Moment
from host_shop import Shop
from processes import Child
from scenarios import Name, Scenario, Traffic, make_scenario

from prefect_delivery.ledger import Ledger

WRITES: dict[tuple[Traffic, Name], int] = {
    ("haproxy", "first"): 18,
    ("haproxy", "upgrade"): 22,
    ("haproxy", "rollback"): 18,
    ("haproxy", "failing"): 22,
    ("switch", "first"): 18,
    ("switch", "upgrade"): 18,
    ("switch", "rollback"): 18,
    ("switch", "failing"): 22,
}
POINTS = [
    (traffic, name, at, moment)
    for (traffic, name), writes in WRITES.items()
    for at in range(1, writes + 1)
    for moment in get_args(Moment)
    # Nothing happens between two writes but the step itself, between its intent and its
    # record; those are the fourth write and every second one after it.
    if moment == "after" or at % 2 == 0
]


def die(scenario: Scenario, at: int, moment: Moment) -> None:
    scenario.shop.ledger = Ledger.open()
    Deadly(scenario.shop.ledger, at, moment)
    scenario.roll_out()


@pytest.mark.parametrize(("traffic", "name", "at", "moment"), POINTS)
def test_a_rollout_killed_at_a_write_ends_on_one_release(
    shop: Shop,
    choose: Callable[[Traffic], None],
    traffic: Traffic,
    name: Name,
    at: int,
    moment: Moment,
) -> None:
    choose(traffic)
    scenario = make_scenario(name, shop)
    assert Child(lambda: die(scenario, at, moment)).wait() == -signal.SIGKILL

    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()


@pytest.mark.parametrize(("traffic", "name"), WRITES)
def test_the_matrix_has_every_write(
    shop: Shop, choose: Callable[[Traffic], None], traffic: Traffic, name: Name
) -> None:
    choose(traffic)
    scenario = make_scenario(name, shop)
    counter = Deadly(shop.ledger)

    scenario.roll_out()

    assert counter.writes == WRITES[traffic, name]


@pytest.mark.parametrize("traffic", get_args(Traffic))
@pytest.mark.parametrize("at", range(1, 12))
def test_a_recovery_that_is_killed_itself_is_recovered(
    shop: Shop, choose: Callable[[Traffic], None], traffic: Traffic, at: int
) -> None:
    choose(traffic)
    scenario = make_scenario("upgrade", shop)
    assert Child(lambda: die(scenario, 12, "after")).wait() == -signal.SIGKILL

    def recover_and_die() -> None:
        ledger = Ledger.open()
        Deadly(ledger, at, "after")
        scenario.recover_with(ledger)

    Child(recover_and_die).wait()
    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()
