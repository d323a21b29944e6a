"""A whole pipeline from its CodePipeline declaration: commit, build, image, service.

The build runs in a container, the image is pushed to a registry, and the service's
containers run it (ministack). CodeBuild is a double, as no emulator builds.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from declared_shop import CRASHES, SERVES, DeclaredShop, declared_shop
from ecs_shop import EcsShop
from git_http import GitServer


@pytest.fixture
def shop(
    ecs_shop: EcsShop, ministack: str, git_server: GitServer, tmp_path: Path
) -> Iterator[DeclaredShop]:
    with declared_shop(tmp_path, ecs_shop, ministack, git_server) as made:
        yield made


@pytest.mark.timeout(300)  # two builds, pushes and rollouts
def test_a_declared_pipeline_puts_each_commit_into_the_service_but_one_that_crashes(
    shop: DeclaredShop,
) -> None:
    commit = shop.publish(SERVES.format(1003))

    done = shop.deliver("run", "--local", "shop.json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert shop.ecs.images() == {shop.image(commit)}
    good = shop.ecs.target().observe()
    (built,) = shop.latest().stages["Build"].actions["Build"]
    assert built.variables["IMAGE"] == f"{shop.repository}:{commit}"

    shop.publish(CRASHES)
    failed = shop.deliver("run", "--local", "shop.json")

    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "went back by itself" in (shop.latest().reason or "")
    assert shop.ecs.images() == {shop.image(commit)}
    assert shop.ecs.target().observe() == good
