"""A rollout into a service of ECS is killed (SIGKILL) at any write of its journal.

The containers really run (ministack). Whoever comes next ends the rollout: on the new
task definition when its commit had reached the service, else on the one of before.

pytest tests/faults/test_ecs_killed.py -k "seed17-"
"""

import pytest
from aws import Wire
from deadly import Deadly
from ecs_shop import EcsShop
from killed import deploy, end, kill
from seeds import number_of, seeded

from prefect_delivery.errors import RolloutFailed
from prefect_delivery.ledger import Release

WRITES = {"first": 16, "upgrade": 16, "crashing": 20}
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, 21) for name in WRITES if at <= WRITES[name]]


def prepared(shop: EcsShop, name: str) -> tuple[Release, Release | None]:
    """The release that goes in, and the one that serves before."""
    before = shop.release("shop:1") if name != "first" else None
    if before:
        deploy(shop, before)
    return shop.release("shop:bad" if name == "crashing" else "shop:2"), before


@seeded(handful=1)
def test_a_killed_rollout_ends_on_one_task_definition(
    ecs_shop: EcsShop, seed: str
) -> None:
    name, at = POINTS[(number_of(seed) * 23 + 8) % len(POINTS)]
    after, before = prepared(ecs_shop, name)

    kill(ecs_shop, after, at)
    serving = end(ecs_shop)

    assert serving in {before.digest if before else None, after.digest}
    assert ecs_shop.images() == {"shop:2" if serving == after.digest else "shop:1"}
    assert name != "crashing" or serving != after.digest
    if serving is None:
        assert ecs_shop.service()["taskDefinition"] == ecs_shop.first


@pytest.mark.parametrize("name", WRITES)
def test_every_write_is_counted(ecs_shop: EcsShop, name: str) -> None:
    after, _ = prepared(ecs_shop, name)
    counter = Deadly(ecs_shop.ledger)

    if name == "crashing":
        with pytest.raises(RolloutFailed):
            deploy(ecs_shop, after)
    else:
        deploy(ecs_shop, after)

    assert counter.writes == WRITES[name]


def test_answers_that_are_lost_after_the_effect_change_nothing_twice(
    ecs_shop: EcsShop, ministack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, release = Wire(), ecs_shop.release("shop:2")
    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        wire.cuts += ["RegisterTaskDefinition", "UpdateService", "TagResource"]

        deploy(ecs_shop, release)

        assert wire.cuts == []
        assert wire.times("RegisterTaskDefinition") == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    revisions = ecs_shop.ecs.list_task_definitions(familyPrefix=ecs_shop.name)
    assert len(revisions["taskDefinitionArns"]) == 2
    assert ecs_shop.target().observe() == release.digest


def test_whatever_answer_is_lost_the_tasks_of_before_come_back(
    ecs_shop: EcsShop, ministack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, release = Wire(), ecs_shop.release("shop:bad")
    wire.each = True
    with wire.to(ministack) as address, pytest.raises(RolloutFailed):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)

        deploy(ecs_shop, release)

    assert wire.lost >= {
        "DeregisterTaskDefinition",
        "RegisterTaskDefinition",
        "TagResource",
        "UpdateService",
    }
    assert ecs_shop.service()["taskDefinition"] == ecs_shop.first
    assert ecs_shop.images() == {"shop:1"}
