"""Row 1: the process of a rollout is killed (SIGKILL) at any write of its journal, or
at a random moment.

Whoever comes next takes the lease of the dead process over at once, reads the journal,
asks the target, and ends the rollout: on the new release when its commit had reached the
target, else on the old one. Each write is killed at in turn over the seeds; 76 seeds
have all.

pytest tests/faults/test_row_01_killed_at_any_write.py -k "seed17-"
"""

from collections.abc import Callable
from typing import get_args

import pytest
from deadly import Deadly
from host_shop import Shop
from kill_points import (
    WRITES,
    check_killed_anywhere,
    check_killed_at_a_write,
    point_of,
    points,
)
from scenarios import Name, Traffic, make_scenario
from seeds import seeded

POINTS = points("first", "upgrade")


@seeded()
def test_a_rollout_killed_at_a_write_ends_on_one_release(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    check_killed_at_a_write(shop, choose, point_of(seed, POINTS))


@seeded()
def test_a_rollout_killed_anywhere_ends_on_one_release(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    check_killed_anywhere(shop, choose, seed, ["first", "upgrade"])


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
