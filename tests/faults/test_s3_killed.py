"""A rollout into a bucket is killed (SIGKILL) at any write of its journal.

Whoever comes next ends the rollout: with the new objects when its commit had begun, else
with those of before, be they a release's or somebody's own.

pytest tests/faults/test_s3_killed.py -k "seed17-"
"""

from pathlib import Path
from uuid import uuid4

import pytest
from bucket_shop import BY_HAND, BucketShop
from deadly import Deadly
from killed import deploy, end, kill
from seeds import number_of, seeded

WRITES = 16
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, WRITES + 1) for name in ("first", "upgrade")]


@pytest.fixture
def shop(aws_identity: None, ministack: str, home: Path, tmp_path: Path) -> BucketShop:
    return BucketShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}")


@seeded(handful=2)
def test_a_killed_rollout_ends_on_one_set_of_objects(
    shop: BucketShop, seed: str
) -> None:
    name, at = POINTS[(number_of(seed) * 13 + 25) % len(POINTS)]
    before = shop.release("one") if name == "upgrade" else None
    if before:
        deploy(shop, before)
    there, after = shop.pages(), shop.release("two")

    kill(shop, after, at)
    serving = end(shop)

    new = {"site/index": "two", "site/only-two": "two"}
    assert shop.pages() == ({**there, **new} if serving == after.digest else there)


def test_every_write_of_a_rollout_is_counted(shop: BucketShop) -> None:
    counter = Deadly(shop.ledger)

    deploy(shop, shop.release("two"))

    assert counter.writes == WRITES
    assert shop.pages()["other"] == BY_HAND["other"]
