"""A rollout into Elastic Beanstalk is killed (SIGKILL) at any write of its journal.

Elastic Beanstalk is a double, since no emulator updates environments. Whoever comes next
ends the rollout: on the new version when its commit had reached the environment, else on
the one of before.

pytest tests/faults/test_elastic_beanstalk_killed.py -k "seed17-"
"""

from collections.abc import Iterator
from pathlib import Path

import boto3  # type: ignore[import-untyped]  # no py.typed
import pytest
from beanstalk_double import BUCKET, Beanstalk
from beanstalk_shop import BeanstalkShop
from deadly import Deadly
from killed import deploy, end, kill
from ministack import REGION
from query_double import query_service
from seeds import number_of, seeded

from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Release

WRITES = {"first": 16, "upgrade": 16, "red": 20}
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, 21) for name in WRITES if at <= WRITES[name]]


@pytest.fixture
def shop(
    aws_identity: None,
    ministack: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[BeanstalkShop]:
    s3 = boto3.client("s3", endpoint_url=ministack, region_name=REGION)
    if BUCKET not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    double = Beanstalk(s3)
    with query_service("elasticbeanstalk", double.answers) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ELASTIC_BEANSTALK", address)
        yield BeanstalkShop(tmp_path, double)


def prepared(shop: BeanstalkShop, name: str) -> tuple[Release, Release | None]:
    """The release that goes in, and the one that serves before."""
    before = shop.release("one") if name != "first" else None
    if before:
        deploy(shop, before)
    return shop.release("red" if name == "red" else "two"), before


@seeded(handful=3)
def test_a_killed_rollout_ends_on_one_version(shop: BeanstalkShop, seed: str) -> None:
    name, at = POINTS[(number_of(seed) * 7 + 27) % len(POINTS)]
    after, before = prepared(shop, name)

    kill(shop, after, at)
    serving = end(shop)

    assert serving in {before.digest if before else None, after.digest}
    assert name != "red" or serving != after.digest
    assert shop.version == (f"prefect-delivery-{serving}" if serving else "by-hand")


@pytest.mark.parametrize("name", WRITES)
def test_every_write_of_a_rollout_is_counted(shop: BeanstalkShop, name: str) -> None:
    after, _ = prepared(shop, name)
    counter = Deadly(shop.ledger)

    if name == "red":
        with pytest.raises(RolloutFailed):
            deploy(shop, after)
    else:
        deploy(shop, after)

    assert counter.writes == WRITES[name]
