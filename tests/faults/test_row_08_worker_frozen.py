"""Row 8: the process of a rollout is frozen (SIGSTOP) at a random moment, until its lease
has expired and somebody else has gone on, and then wakes up (SIGCONT).

Its fencing token is older than what the ledger and the target have seen, so it can
record nothing and change nothing, and ends with `LeaseLost`. Frozen in the very middle of
a change to the target, it is killed by whoever comes next.

pytest tests/faults/test_row_08_worker_frozen.py -k "seed17-"
"""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from auditor import audit
from deadly import Deadly
from host_shop import Shop, ask, quiet
from kill_points import any_traffic
from processes import Child
from scenarios import Traffic
from seeds import number_of, seeded

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.rollout import roll_out

TTL = 0.4
LONGEST = 0.3
"""Seconds that a rollout of the shop takes on a quiet machine."""


@seeded()
def test_a_frozen_worker_that_wakes_up_changes_nothing(
    shop: Shop, home: Path, choose: Callable[[Traffic], None], seed: str
) -> None:
    chance = random.Random(seed)
    choose(any_traffic(chance))
    host = shop.host()
    one, two, three = (shop.release(name) for name in ("one", "two", "three"))
    into(shop.ledger, host, one)
    frozen = Child(lambda: lose(host, two))
    time.sleep(chance.uniform(0, LONGEST))
    was_frozen = stop_between_writes(frozen, home / "ledger.db")

    once_the_lease_has_expired(lambda: into(shop.ledger, host, three))
    if was_frozen:
        frozen.go_on()
        assert frozen.wait() in {0, -signal.SIGKILL}

    # One that was frozen before it had a lease takes one when it wakes up.
    last = shop.ledger.rollouts.history(shop.environment)[0]
    assert last.status == "committed"
    assert host.observe() == last.release == shop.current()
    assert ask(host) == ("three" if last.release == three.digest else "two")
    audit(shop.ledger, {shop.environment: host})


@seeded()
def test_one_that_wakes_up_before_the_effect_of_a_step_does_not_make_it(
    shop: Shop, choose: Callable[[Traffic], None], seed: str
) -> None:
    chance = random.Random(seed)
    choose(any_traffic(chance))
    host = shop.host()
    one, two, three = (shop.release(name) for name in ("one", "two", "three"))
    into(shop.ledger, host, one)
    # The third write is the first intent, and every second one after it.
    frozen = Child(lambda: freeze(host, two, 3 + 2 * (number_of(seed) % 6)))
    frozen.wait_until_frozen()

    once_the_lease_has_expired(lambda: into(shop.ledger, host, three))
    frozen.go_on()

    assert frozen.wait() == 0
    assert host.observe() == three.digest == shop.current()
    assert ask(host) == "three"
    audit(shop.ledger, {shop.environment: host})


def freeze(host: HostEnvironment, release: Release, at: int) -> None:
    """Roll out, be frozen after a write of the journal, and find the lease lost."""
    ledger = Ledger.open()
    Deadly(ledger, at, "after", by=signal.SIGSTOP)
    with pytest.raises(LeaseLost):
        into(ledger, host, release)


def into(ledger: Ledger, host: HostEnvironment, release: Release) -> None:
    roll_out(
        ledger, host, Shop.environment, release, execution_id="", log=quiet, ttl=TTL
    )


def lose(host: HostEnvironment, release: Release) -> None:
    """Roll out; what comes too late is told so, or refused when it had not begun."""
    with suppress(LeaseLost, Refused):
        into(Ledger.open(), host, release)


def stop_between_writes(child: Child, ledger: Path) -> bool:
    """Freeze a process while it is in no transaction, which would lock everybody out.

    Returns:
        Whether it is frozen; False when it had ended before.
    """
    with closing(sqlite3.connect(ledger, timeout=60, isolation_level=None)) as ours:
        ours.execute("BEGIN IMMEDIATE")
        os.kill(child.pid, signal.SIGSTOP)
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        ours.execute("ROLLBACK")
    return os.WIFSTOPPED(status)


def once_the_lease_has_expired(action: Callable[[], object]) -> None:
    while True:
        try:
            action()
        except Refused:
            time.sleep(0.05)
        else:
            return
