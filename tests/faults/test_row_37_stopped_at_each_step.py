"""Row 37: a rollout is stopped at any of its steps, once or twice, to be undone or held.

The step that runs is done whole. Then a rollout that is to be undone ends on the release
before, and one that is to be held keeps its split, with the environment locked; one
command leads back, another one on. A rollback that is stopped is finished. Over the seeds
each write of the journal is stopped at; 180 seeds have all.

pytest tests/faults/test_row_37_stopped_at_each_step.py -k "seed17-"
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from auditor import audit
from host_shop import Shop, quiet
from kill_points import point_of, points
from processes import Child
from scenarios import Scenario, Traffic, make_scenario
from seeds import seeded
from stopping import Interrupted

from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Ledger, Repair, Rollout, RolloutKind
from prefect_delivery.rollout import repair, roll_out

POINTS = points("first", "upgrade", "failing")
GOING_BACK = points("rollback")
ANN = Repair("ann", "looked at it")


@seeded()
def test_a_rollout_that_is_stopped_is_undone(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    traffic, name, at = point_of(seed, POINTS)
    choose(traffic)
    scenario = make_scenario(name, shop)

    stopped = stop(scenario, at, twice=random.Random(seed).random() < 0.5)

    assert stopped.status in {"committed", "rolled-back"}
    scenario.check_that_one_release_fully_serves()
    assert shop.ledger.environments.get(shop.environment).locked is None
    assert len(shop.ledger.quarantine.list()) == ended_badly(scenario, stopped)
    audit(shop.ledger, {shop.environment: scenario.host})


@seeded()
def test_a_rollout_that_is_held_keeps_its_split_until_somebody_says_where_to(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    traffic, name, at = point_of(seed, points("first", "upgrade"))
    choose(traffic)
    scenario = make_scenario(name, shop)

    stopped = stop(scenario, at, hold=True)

    if stopped.status == "held":
        locked = shop.ledger.environments.get(shop.environment).locked or ""
        assert "of the traffic" in locked
        audit(shop.ledger, {shop.environment: scenario.host})
        ways: list[Literal["back", "on"]] = ["back", "on"]
        way = random.Random(seed).choice(ways)
        done = repair(shop.ledger, scenario.host, shop.environment, way, ANN, quiet)
        assert done.status == ("committed" if way == "on" else "rolled-back")
    scenario.check_that_one_release_fully_serves()
    assert shop.ledger.environments.get(shop.environment).locked is None
    audit(shop.ledger, {shop.environment: scenario.host})


@seeded()
def test_a_rollback_that_is_stopped_is_finished(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    traffic, name, at = point_of(seed, GOING_BACK)
    choose(traffic)
    scenario = make_scenario(name, shop)

    stopped = stop(scenario, at, twice=True)

    assert stopped.status == "committed"
    assert scenario.host.observe() == scenario.after.digest
    scenario.check_that_one_release_fully_serves()
    audit(shop.ledger, {shop.environment: scenario.host})


@seeded()
def test_a_rollback_that_is_held_goes_on_when_somebody_says_so(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    traffic, name, at = point_of(seed, GOING_BACK)
    choose(traffic)
    scenario = make_scenario(name, shop)

    stopped = stop(scenario, at, hold=True)
    if stopped.status == "held":
        audit(shop.ledger, {shop.environment: scenario.host})
        repair(shop.ledger, scenario.host, shop.environment, "back", ANN, quiet)

    assert scenario.host.observe() == scenario.after.digest
    scenario.check_that_one_release_fully_serves()
    audit(shop.ledger, {shop.environment: scenario.host})


def stop(
    scenario: Scenario, at: int, *, hold: bool = False, twice: bool = False
) -> Rollout:
    """Roll out in a process of its own, and stop it at a write of the journal."""

    def go() -> None:
        ledger = Ledger.open()
        cancelled, held = threading.Event(), threading.Event()

        def act() -> None:
            for _ in range(2 if twice else 1):
                (held if hold else cancelled).set()

        Interrupted(ledger, at, act)
        kind: RolloutKind = "rollback" if scenario.name == "rollback" else "forward"
        # What became of it is in the ledger.
        with suppress(RolloutFailed):
            roll_out(
                ledger,
                scenario.host,
                scenario.shop.environment,
                scenario.after,
                execution_id="",
                log=quiet,
                kind=kind,
                cancelled=cancelled,
                hold=held,
            )

    assert Child(go).wait() == 0
    return scenario.shop.ledger.rollouts.history(scenario.shop.environment, 1)[0]


def ended_badly(scenario: Scenario, stopped: Rollout) -> bool:
    """Whether the release was found bad with traffic, rather than only stopped."""
    verbs = [(step.verb, (step.outcome or "")[:6]) for step in stopped.steps]
    return scenario.name == "failing" and ("verify", "failed") in verbs
