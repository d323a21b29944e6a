"""A canary behind an alias of Lambda is killed (SIGKILL) at any write of its journal.

The function really runs (ministack). Whoever comes next ends the rollout: on the new
version when its commit had reached the alias, else on the one of before.

pytest tests/faults/test_lambda_killed.py -k "seed17-"
"""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from deadly import Deadly
from killed import deploy, end, kill
from lambda_shop import LambdaShop
from seeds import number_of, seeded

from prefect_delivery.blocks.lambda_alias import LambdaAliasEnvironment
from prefect_delivery.ledger import Release
from prefect_delivery.rollout import Canary, CanaryStep

WRITES = {"first": 18, "upgrade": 22}
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, 23) for name in WRITES if at <= WRITES[name]]


class CanaryShop(LambdaShop):
    """Gives a new version a tenth of the traffic first."""

    def target(self, **settings: Any) -> LambdaAliasEnvironment:
        canary = Canary(canary=[CanaryStep(percent=10)])
        return super().target(strategy=canary, **settings)


@pytest.fixture
def shop(aws_identity: None, ministack: str, home: Path, tmp_path: Path) -> LambdaShop:
    return CanaryShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}")


def prepared(shop: LambdaShop, name: str) -> tuple[Release, Release | None]:
    """The release that goes in, and the one that serves before."""
    before = shop.release("one") if name == "upgrade" else None
    if before:
        deploy(shop, before)
    return shop.release("two"), before


@seeded(handful=1)
def test_a_killed_canary_ends_on_one_version(shop: LambdaShop, seed: str) -> None:
    name, at = POINTS[(number_of(seed) * 13 + 21) % len(POINTS)]
    after, before = prepared(shop, name)

    kill(shop, after, at)
    serving = end(shop)

    assert serving in {before.digest if before else None, after.digest}
    assert shop.weights() == {}
    said = {after.digest: "two", None: "by hand"}
    assert shop.says() == said.get(serving, "one")


@pytest.mark.parametrize("name", WRITES)
def test_every_write_of_a_canary_is_counted(shop: LambdaShop, name: str) -> None:
    after, _ = prepared(shop, name)
    counter = Deadly(shop.ledger)

    deploy(shop, after)

    assert counter.writes == WRITES[name]
