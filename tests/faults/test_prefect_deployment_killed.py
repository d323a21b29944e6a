"""A rollout of Prefect flows is killed (SIGKILL) at any write of its journal.

Two deployments are changed one after the other, so it is killed between them as well.
Whoever comes next ends the rollout: both deployments lead to the same release.

pytest tests/faults/test_prefect_deployment_killed.py -k "seed17-"
"""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from deadly import Deadly
from flow_shop import FlowShop
from killed import deploy, end, kill
from processes import Child
from seeds import number_of, seeded

from prefect_delivery.blocks.prefect_deployment import PrefectDeploymentEnvironment
from prefect_delivery.ledger import Ledger, Release

WRITES = {"first": 16, "upgrade": 16}
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, 17) for name in WRITES]


@pytest.fixture
def shop(prefect_server: None, home: Path, tmp_path: Path) -> FlowShop:
    return FlowShop(tmp_path)


def prepared(shop: FlowShop, name: str) -> tuple[Release, Release | None]:
    """The release that goes in, and the one that serves before."""
    before = shop.release("one") if name == "upgrade" else None
    if before:
        deploy(shop, before)
    return shop.release("two"), before


def check_recovery(shop: FlowShop, after: Release, before: Release | None) -> None:
    """Let a new process end the rollout; everything leads to one release then."""
    serving = end(shop)
    words = {before.digest if before else None: "one", after.digest: "two"}
    said = words[serving] if serving else None
    assert shop.words() == [said, said]


@seeded(handful=1)
def test_killed_at_any_write_all_flows_end_on_one_release(
    shop: FlowShop, seed: str
) -> None:
    name, at = POINTS[(number_of(seed) * 13 + 11) % len(POINTS)]
    after, before = prepared(shop, name)

    kill(shop, after, at)

    check_recovery(shop, after, before)


@pytest.mark.parametrize("name", WRITES)
def test_killed_between_two_deployments_no_flow_stays_behind(
    shop: FlowShop, name: str
) -> None:
    after, before = prepared(shop, name)
    apply = PrefectDeploymentEnvironment._apply

    def apply_once(*arguments: Any) -> None:
        apply(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    def die() -> None:
        setattr(PrefectDeploymentEnvironment, "_apply", apply_once)  # noqa: B010
        shop.ledger = Ledger.open()
        deploy(shop, after)

    assert Child(die).wait() == -signal.SIGKILL
    assert shop.words() == ["two", "one" if before else None]

    check_recovery(shop, after, before)


@pytest.mark.parametrize("name", WRITES)
def test_every_write_is_counted(shop: FlowShop, name: str) -> None:
    after, _ = prepared(shop, name)
    counter = Deadly(shop.ledger)

    deploy(shop, after)

    assert counter.writes == WRITES[name]
