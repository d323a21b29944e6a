"""Row 3: the process is killed (SIGKILL) while it goes back: in a rollback, in the undo
of a failed rollout, or in the recovery after another kill.

Going back is resumed and ends. A rollout whose undo has begun never turns forward again,
and a release that somebody wanted to be rid of does not come back. 80 seeds have every
write.

pytest tests/faults/test_row_03_killed_while_going_back.py -k "seed17-"
"""

import random
import signal
from collections.abc import Callable

from auditor import audit
from deadly import Deadly
from host_shop import Shop
from kill_points import (
    any_traffic,
    check_killed_anywhere,
    check_killed_at_a_write,
    die,
    point_of,
    points,
)
from processes import Child
from scenarios import Traffic, make_scenario
from seeds import number_of, seeded

from prefect_delivery.ledger import Ledger

POINTS = points("rollback", "failing")


@seeded()
def test_going_back_is_resumed_at_every_write(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    check_killed_at_a_write(shop, choose, point_of(seed, POINTS))


@seeded()
def test_going_back_is_resumed_wherever_it_is_killed(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    check_killed_anywhere(shop, choose, seed, ["rollback", "failing"])


@seeded()
def test_a_recovery_that_is_killed_itself_is_recovered(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    choose(any_traffic(random.Random(seed)))
    scenario = make_scenario("upgrade", shop)
    assert Child(lambda: die(scenario, 12, "after")).wait() == -signal.SIGKILL

    def recover_and_die() -> None:
        ledger = Ledger.open()
        Deadly(ledger, 1 + number_of(seed) % 11, "after")
        scenario.recover_with(ledger)

    Child(recover_and_die).wait()
    scenario.recover_in_a_new_process()

    scenario.check_that_one_release_fully_serves()
    audit(shop.ledger, {shop.environment: scenario.host})
