"""A rollout that is killed at a write of its journal, and whoever comes next."""

import signal
from typing import Any, Protocol

from auditor import audit
from deadly import Deadly
from processes import Child

from prefect_delivery.blocks.environment import Environment
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.rollout import recover, roll_out


class Shop(Protocol):
    """A service with one environment."""

    ledger: Ledger

    @property
    def environment(self) -> str: ...

    def target(self) -> Environment: ...


def deploy(shop: Shop, release: Release) -> None:
    """Roll a release out."""
    target, name = shop.target(), shop.environment
    roll_out(shop.ledger, target, name, release, execution_id="", log=print)


def kill(shop: Shop, release: Release, at: int) -> None:
    """Kill a rollout (SIGKILL) right after one of its writes, the `at`th."""

    def die() -> None:
        shop.ledger = Ledger.open()
        Deadly(shop.ledger, at, "after")
        deploy(shop, release)

    assert Child(die).wait() == -signal.SIGKILL


def end(shop: Shop) -> str | None:
    """Let another process end a rollout, and audit what it leaves.

    Returns:
        Digest of the release that serves then, which is the one that the ledger knows.
    """

    def come_next() -> Any:
        return recover(Ledger.open(), shop.target(), shop.environment, print)

    assert Child(come_next).wait() == 0
    serving = shop.target().observe()
    current = shop.ledger.releases.current(shop.environment)
    assert serving == (current.digest if current else None)
    audit(shop.ledger, {shop.environment: shop.target()})
    return serving
