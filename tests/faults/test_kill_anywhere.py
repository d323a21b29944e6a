"""A rollout's process is killed at a random moment, by a seed that can be given again.

pytest tests/faults/test_kill_anywhere.py -k "seed17-"      # one seed
DELIVERY_KILL_SEEDS=200 pytest tests/faults/test_kill_anywhere.py -n 2
"""

import os
import random
import threading
from collections.abc import Callable
from typing import get_args

import pytest
from host_shop import Shop
from processes import Child
from scenarios import Name, Scenario, Traffic, make_scenario

from prefect_delivery.ledger import Ledger

SEEDS = int(os.environ.get("DELIVERY_KILL_SEEDS", "20"))
LONGEST = 1.5
"""Seconds that a rollout of the shop takes on a busy machine."""


@pytest.mark.parametrize("seed", [f"seed{number}-" for number in range(SEEDS)])
def test_a_rollout_killed_anywhere_ends_on_one_release(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    chance = random.Random(seed)
    choose(chance.choice(get_args(Traffic)))
    scenario = make_scenario(chance.choice(get_args(Name)), shop)

    for _ in range(chance.choice([1, 1, 1, 2])):
        kill_after(chance.uniform(0, LONGEST), Child(lambda: go(scenario)))
    kill_after(chance.choice([0.2, LONGEST]), Child(scenario.recover))
    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()


def go(scenario: Scenario) -> None:
    scenario.shop.ledger = Ledger.open()
    scenario.roll_out()


def kill_after(seconds: float, child: Child) -> None:
    """Let chance decide how far the child gets; it may also get to its end."""
    killer = threading.Timer(seconds, child.kill)
    killer.start()
    child.wait()
    killer.cancel()
