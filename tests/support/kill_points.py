"""Every point at which a rollout's process can be killed, and the killing."""

import random
import signal
import threading
from collections.abc import Callable
from typing import get_args

from auditor import audit
from deadly import Deadly, Moment
from host_shop import Shop
from processes import Child
from scenarios import Name, Scenario, Traffic, make_scenario
from seeds import number_of

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
"""Writes to the journal and the leases that a rollout does."""
LONGEST = 1.5
"""Seconds that a rollout of the shop takes on a busy machine."""

Point = tuple[Traffic, Name, int]


def points(*names: Name, moment: Moment = "after") -> list[Point]:
    """The writes of some scenarios, shuffled in a way that never changes.

    Nothing happens between two writes but the step itself, between its intent and its
    record: only those, the second write and every second one after it, are worth dying
    before.
    """
    found = [
        (traffic, name, at)
        for (traffic, name), writes in WRITES.items()
        for at in range(1, writes + 1)
        if name in names and (moment == "after" or at % 2 == 0)
    ]
    return random.Random(0).sample(found, len(found))


def point_of(seed: str, among: list[Point]) -> Point:
    """The seed's point; as many seeds as there are points have them all."""
    return among[number_of(seed) % len(among)]


def check_killed_at_a_write(
    shop: Shop, choose: Callable[[Traffic], None], point: Point
) -> None:
    """Kill a rollout right after a write; it ends on one release."""
    traffic, name, at = point
    choose(traffic)
    scenario = make_scenario(name, shop)
    assert Child(lambda: die(scenario, at, "after")).wait() == -signal.SIGKILL
    _check_recovery(scenario)


def check_killed_anywhere(
    shop: Shop, choose: Callable[[Traffic], None], seed: str, names: list[Name]
) -> None:
    """Kill a rollout at random moments; it ends on one release."""
    chance = random.Random(seed)
    choose(any_traffic(chance))
    scenario = make_scenario(chance.choice(names), shop)
    kill_anywhere(scenario, chance)
    _check_recovery(scenario)


def _check_recovery(scenario: Scenario) -> None:
    scenario.recover_in_a_new_process()
    scenario.check_that_one_release_fully_serves()
    audit(scenario.shop.ledger, {scenario.shop.environment: scenario.host})


def die(scenario: Scenario, at: int, moment: Moment) -> None:
    """Roll out until a write, and be killed there."""
    scenario.shop.ledger = Ledger.open()
    Deadly(scenario.shop.ledger, at, moment)
    scenario.roll_out()


def kill_anywhere(scenario: Scenario, chance: random.Random) -> None:
    """Kill the rollout at random moments, and once the recovery as well."""

    def go() -> None:
        scenario.shop.ledger = Ledger.open()
        scenario.roll_out()

    for _ in range(chance.choice([1, 1, 1, 2])):
        kill_after(chance.uniform(0, LONGEST), Child(go))
    kill_after(chance.choice([0.2, LONGEST]), Child(scenario.recover))


def kill_after(seconds: float, child: Child) -> None:
    """Let chance decide how far the child gets; it may also get to its end."""
    killer = threading.Timer(seconds, child.kill)
    killer.start()
    child.wait()
    killer.cancel()


def any_traffic(chance: random.Random) -> Traffic:
    return chance.choice(get_args(Traffic))
