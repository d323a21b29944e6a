"""Rollouts into a service of ECS whose containers really run (ministack)."""

import threading
from pathlib import Path

import pytest
from ecs_shop import EcsShop
from polling import until

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.blocks.aws_environment import FENCE, RELEASE
from prefect_delivery.errors import LeaseLost
from prefect_delivery.tasks.deploy.ecs import deploy_to_ecs


def deploy(
    shop: EcsShop, image: str, job: Job | None = None, minutes: float = 5
) -> Outputs:
    made: Outputs = deploy_to_ecs.fn(
        shop.artifact(image),
        "shop",
        shop.name,
        deployment_timeout=minutes,
        job=job or Job(log=print),
    )
    return made


def test_a_release_replaces_the_tasks_and_is_known_by_its_tags(
    ecs_shop: EcsShop,
) -> None:
    made = deploy(ecs_shop, "shop:2")

    assert ecs_shop.images() == {"shop:2"}
    assert ecs_shop.target().observe() == made.variables["release"]
    current = ecs_shop.ecs.describe_task_definition(
        taskDefinition=ecs_shop.service()["taskDefinition"], include=["TAGS"]
    )
    tags = {tag["key"]: tag["value"] for tag in current["tags"]}
    assert tags["team"] == "shop"
    assert tags[RELEASE] == made.variables["release"]
    assert current["taskDefinition"]["networkMode"] == "host"


@pytest.mark.parametrize("breaker", [True, False])
def test_after_a_crashing_image_the_previous_tasks_serve(
    ecs_shop: EcsShop, breaker: bool
) -> None:
    switch = {"enable": breaker, "rollback": breaker}
    ecs_shop.ecs.update_service(
        cluster="shop",
        service=ecs_shop.name,
        deploymentConfiguration={"deploymentCircuitBreaker": switch},
    )
    good = deploy(ecs_shop, "shop:2").variables["release"]

    with pytest.raises(ActionFailed, match=f"runs release .{good[:12]}.*not release"):
        deploy(ecs_shop, "shop:bad", minutes=5 if breaker else 0.1)

    assert ecs_shop.target().observe() == good
    assert ecs_shop.images() == {"shop:2"}


def test_after_a_failed_first_release_what_was_there_before_serves(
    ecs_shop: EcsShop,
) -> None:
    with pytest.raises(ActionFailed, match="runs no release"):
        deploy(ecs_shop, "shop:bad")

    assert ecs_shop.service()["taskDefinition"] == ecs_shop.first
    assert ecs_shop.images() == {"shop:1"}


def test_the_same_release_registers_nothing_twice(ecs_shop: EcsShop) -> None:
    target, release = ecs_shop.target(), ecs_shop.release("shop:2")

    target.prepare(release, 1)
    target.prepare(release, 1)
    target.discard(release, 1)
    target.discard(release, 1)

    arns = ecs_shop.ecs.list_task_definitions(
        familyPrefix=ecs_shop.name, status="ACTIVE"
    )
    assert arns["taskDefinitionArns"] == [ecs_shop.first]


def test_a_lease_that_was_overtaken_changes_nothing(ecs_shop: EcsShop) -> None:
    target, release = ecs_shop.target(), ecs_shop.release("shop:2")
    target.prepare(release, 7)

    with pytest.raises(LeaseLost, match="lease 6 is older"):
        target.shift(release, 100, 6)

    assert ecs_shop.service()["taskDefinition"] == ecs_shop.first
    assert {"key": FENCE, "value": "7"} in ecs_shop.service()["tags"]


def test_stopping_brings_the_previous_tasks_back(ecs_shop: EcsShop) -> None:
    # With nothing to spare below or above, ECS can neither stop nor start a task.
    stuck = {"minimumHealthyPercent": 100, "maximumPercent": 100}
    ecs_shop.ecs.update_service(
        cluster="shop", service=ecs_shop.name, deploymentConfiguration=stuck
    )
    job, errors = Job(log=print), list[ActionFailed]()

    def go() -> None:
        try:
            deploy(ecs_shop, "shop:2", job)
        except ActionFailed as error:
            errors.append(error)

    going = threading.Thread(target=go)
    going.start()
    until(lambda: ecs_shop.service()["taskDefinition"] != ecs_shop.first)
    job.cancel("stopped by ann")
    until(lambda: ecs_shop.service()["taskDefinition"] == ecs_shop.first)
    free = {"minimumHealthyPercent": 100, "maximumPercent": 200}
    ecs_shop.ecs.update_service(
        cluster="shop", service=ecs_shop.name, deploymentConfiguration=free
    )
    going.join()

    assert "runs no release, not release" in errors[0].message
    assert "stopped" in errors[0].message
    assert ecs_shop.service()["taskDefinition"] == ecs_shop.first
    assert ecs_shop.images() == {"shop:1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": "web"}', "must be a JSON list"),
        ('[{"name": "api", "imageUri": "shop:2"}]', "no container api"),
        (None, "has no file 'imagedefinitions.json'"),
    ],
)
def test_what_the_file_says_wrongly_is_named_and_changes_nothing(
    ecs_shop: EcsShop, tmp_path: Path, text: str | None, says: str
) -> None:
    source = tmp_path / "wrong"
    source.mkdir()
    (source / ("imagedefinitions.json" if text else "other")).write_text(text or "")

    with pytest.raises(ActionFailed, match=says):
        deploy_to_ecs.fn(Artifact.of(source), "shop", ecs_shop.name, job=Job(log=print))

    assert ecs_shop.service()["taskDefinition"] == ecs_shop.first
