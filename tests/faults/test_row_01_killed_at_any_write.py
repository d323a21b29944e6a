"""Row 1: the process of a rollout is killed (SIGKILL) at any write of its journal, or
at a random moment.

Whoever comes next takes the lease of the dead process over at once, reads the journal,
asks the target, and ends the rollout: on the new release when its commit had reached the
target, else on the old one. Each write is killed at in turn over the seeds; 76 seeds
have all.

pytest tests/faults/test_row_01_killed_at_any_write.py -k "seed17-"
"""

import random
import signal
from collections.abc import Callable
from typing import get_args

import pytest
from auditor import audit
from deadly import Deadly
from host_shop import Shop
from kill_points import WRITES, any_traffic, die, kill_anywhere, point_of, points
from processes import Child
from scenarios import Name, Traffic, make_scenario
from seeds import seeded

POINTS = points("first", "upgrade")


@seeded()
def test_a_rollout_killed_at_a_write_ends_on_one_release(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    traffic, name, at = point_of(seed, POINTS)
    choose(traffic)
    scenario = make_scenario(name, shop)
    assert Child(lambda: die(scenario, at, "after")).wait() == -signal.SIGKILL

    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()
    audit(shop.ledger, {shop.environment: scenario.host})


@seeded()
def test_a_rollout_killed_anywhere_ends_on_one_release(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    chance = random.Random(seed)
    choose(any_traffic(chance))
    scenario = make_scenario(chance.choice(["first", "upgrade"]), shop)

    kill_anywhere(scenario, chance)
    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()
    audit(shop.ledger, {shop.environment: scenario.host})


@pytest.mark.parametrize("name", get_args(Name))
@pytest.mark.parametrize("traffic", get_args(Traffic))
def test_every_write_is_counted(
    shop: Shop, choose: Callable[[Traffic], None], traffic: Traffic, name: Name
) -> None:
    choose(traffic)
    scenario = make_scenario(name, shop)
    counter = Deadly(shop.ledger)

    scenario.roll_out()

    assert counter.writes == WRITES[traffic, name]
