"""A rollout of a stack is killed (SIGKILL) at any write of its journal.

CloudFormation is ministack, which really makes and rolls back resources. Whoever comes
next ends the rollout: on the new template when its commit had reached the stack, else
with the one of before, and its parameters.

pytest tests/faults/test_cloudformation_killed.py -k "seed17-"
"""

import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from auditor import audit
from deadly import Deadly
from killed import deploy, end, kill
from processes import Child
from seeds import number_of, seeded
from stack_shop import StackShop

from prefect_delivery.blocks.cloudformation_api import Stack
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.rollout import recover

WRITES = {"new": 16, "adopted": 16, "upgrade": 16}
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, 17) for name in WRITES]


@pytest.fixture
def shop(aws_identity: None, ministack: str, home: Path, tmp_path: Path) -> StackShop:
    return StackShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}")


def prepared(shop: StackShop, name: str) -> tuple[Release, Release | None]:
    """The release that goes in, and the one that serves before."""
    if name == "adopted":
        shop.make_by_hand()
    before = shop.release("one") if name == "upgrade" else None
    if before:
        deploy(shop, before)
    return shop.release("two"), before


@seeded(handful=1)
def test_a_killed_rollout_ends_on_one_template(shop: StackShop, seed: str) -> None:
    name, at = POINTS[(number_of(seed) * 13 + 35) % len(POINTS)]
    after, before = prepared(shop, name)

    kill(shop, after, at)
    serving = end(shop)

    assert serving in {before.digest if before else None, after.digest}
    nothing = "none by-hand" if name == "adopted" else None
    said = {after.digest: "hello-two two", None: nothing}
    assert shop.says() == said.get(serving, "hello-one one")


@pytest.mark.parametrize("name", WRITES)
def test_one_that_is_killed_before_it_marks_the_stack_is_taken_back(
    shop: StackShop, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, _ = prepared(shop, name)
    said = shop.says()

    def die() -> None:
        monkeypatch.setattr(
            Stack, "set_mark", lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        )
        shop.ledger = Ledger.open()
        deploy(shop, after)

    assert Child(die).wait() == -signal.SIGKILL
    assert shop.says() == "hello-two two"
    recover(shop.ledger, shop.target(), shop.environment, print)

    assert shop.says() == said
    audit(shop.ledger, {shop.environment: shop.target()})


@pytest.mark.parametrize("name", WRITES)
def test_every_write_of_a_rollout_is_counted(shop: StackShop, name: str) -> None:
    after, _ = prepared(shop, name)
    counter = Deadly(shop.ledger)

    deploy(shop, after)

    assert counter.writes == WRITES[name]
