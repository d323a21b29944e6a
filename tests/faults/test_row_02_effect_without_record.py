"""Row 2: the process is killed (SIGKILL) after a step's effect on the target and before
its record.

The intent without an outcome tells whoever comes next to ask the target. The steps may
be repeated, so an effect that was there is found and not made twice. 78 seeds have every
step of every kind of rollout.

pytest tests/faults/test_row_02_effect_without_record.py -k "seed17-"
"""

import signal
from collections.abc import Callable
from typing import get_args

from auditor import audit
from host_shop import Shop
from kill_points import die, point_of, points
from processes import Child
from scenarios import Name, Traffic, make_scenario
from seeds import seeded

POINTS = points(*get_args(Name), moment="before")


@seeded()
def test_an_effect_that_was_not_recorded_is_not_made_twice(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    traffic, name, at = point_of(seed, POINTS)
    choose(traffic)
    scenario = make_scenario(name, shop)
    assert Child(lambda: die(scenario, at, "before")).wait() == -signal.SIGKILL

    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()
    audit(shop.ledger, {shop.environment: scenario.host})
