"""Row 40: a release falls ill at about the moment at which its rollout succeeds.

The bake decides, once: what dies before its end is undone by the same rollout; what dies
later has been committed, and going back is a rollout of its own. History is never
rewritten.

pytest tests/faults/test_row_40_alarm_at_success.py -k "seed17-"
"""

import random
from collections.abc import Callable

from auditor import audit
from host_shop import Shop, ask, quiet
from kill_points import any_traffic
from scenarios import Traffic
from seeds import seeded

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Release, RolloutKind
from prefect_delivery.rollout import roll_out

LIFE = 0.5
"""Seconds that the ill release lives."""


@seeded()
def test_the_bake_decides_once(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    chance = random.Random(seed)
    choose(any_traffic(chance))
    host = shop.host(bake=chance.uniform(0, 2 * LIFE) / 60)
    one, two = shop.release("one"), shop.release("two", "mortal")
    into(shop, host, one, "forward")

    failed = False
    try:
        into(shop, host, two, "forward")
    except RolloutFailed:
        failed = True

    decided = shop.ledger.rollouts.history(shop.environment)[0]
    assert decided.status == ("rolled-back" if failed else "committed")
    assert shop.current() == (one if failed else two).digest
    if not failed:
        # Whatever sounds the alarm later starts something new.
        into(shop, host, one, "rollback")
        assert shop.ledger.rollouts.get(decided.id) == decided
    assert ask(host) == "one"
    audit(shop.ledger, {shop.environment: host})


def into(
    shop: Shop, host: HostEnvironment, release: Release, kind: RolloutKind
) -> None:
    roll_out(
        shop.ledger,
        host,
        shop.environment,
        release,
        execution_id="",
        log=quiet,
        kind=kind,
    )
