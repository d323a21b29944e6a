"""`deliver run` of a CodePipeline declaration is killed (SIGKILL) at any write of the
journal of its rollout into ECS.

Commit, build, image and containers are real (ministack). `deliver reconcile` ends the
rollout on one task definition, and a retry carries the execution to its end.

pytest tests/faults/test_declared_pipeline_killed.py -k "seed17-"
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor import audit
from declared_shop import CRASHES, SERVES, DeclaredShop, declared_shop
from ecs_shop import EcsShop
from git_http import GitServer
from seeds import number_of, seeded

from prefect_delivery.engine.state import Status

WRITES = {"serves": 16, "crashes": 20}
"""Writes to the journal and the leases that a rollout does."""
POINTS = [(name, at) for at in range(1, 21) for name in WRITES if at <= WRITES[name]]


@pytest.fixture
def shop(
    ecs_shop: EcsShop, ministack: str, git_server: GitServer, tmp_path: Path
) -> Iterator[DeclaredShop]:
    with declared_shop(tmp_path, ecs_shop, ministack, git_server) as made:
        yield made


@pytest.mark.timeout(300)  # two builds, pushes and rollouts
@seeded(handful=1)
def test_a_pipeline_killed_while_it_deploys_ends_on_one_image(
    shop: DeclaredShop, seed: str
) -> None:
    name, at = POINTS[(number_of(seed) * 23 + 16) % len(POINTS)]
    before = shop.publish(SERVES.format(1003))
    assert shop.deliver("run", "--local", "shop.json").returncode == 0
    after = shop.publish(SERVES.format(1004) if name == "serves" else CRASHES)

    died = shop.deliver_and_die(at, "run", "--local", "shop.json")
    assert died.returncode == -9, died.stdout + died.stderr
    set_right = shop.deliver("reconcile")

    assert set_right.returncode == 0, set_right.stdout + set_right.stderr
    check_that_one_image_serves(shop, [before, after])

    if shop.latest().status is not Status.SUCCEEDED:
        shop.deliver("retry", "shop", "--local")

    ends_well = name == "serves"
    assert (shop.latest().status is Status.SUCCEEDED) == ends_well
    check_that_one_image_serves(shop, [after if ends_well else before])


def check_that_one_image_serves(shop: DeclaredShop, commits: list[str]) -> None:
    """The ledger knows what the containers run, which is one of these commits."""
    target = shop.ecs.target()
    current = shop.ecs.ledger.releases.current(target.name)
    assert current and current.digest == target.observe()
    (image,) = shop.ecs.images()
    assert image in {shop.image(commit) for commit in commits}
    audit(shop.ecs.ledger, {target.name: target})
