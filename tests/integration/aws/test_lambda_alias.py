"""Rollouts behind an alias of a function that really runs (ministack).

ministack stores the weights of an alias and does not apply them: that a share is given
is seen by what the alias says, that all is given by what the function answers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3  # type: ignore[import-untyped]  # no py.typed
import pytest
from aws import Wire
from lambda_shop import LambdaShop
from ministack import REGION

from prefect_delivery.actions import ActionFailed, Job, Outputs
from prefect_delivery.blocks.lambda_alias import LambdaAliasEnvironment
from prefect_delivery.errors import LeaseLost
from prefect_delivery.ledger import Release
from prefect_delivery.rollout import (
    Canary,
    CanaryStep,
    Increment,
    Linear,
    Strategy,
)
from prefect_delivery.tasks.deploy.environment import deploy as deploy_task
from prefect_delivery.tasks.deploy.lambda_ import _strategy, deploy_to_lambda


@pytest.fixture
def shop(aws_identity: None, ministack: str, home: Path, tmp_path: Path) -> LambdaShop:
    return LambdaShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}")


@pytest.fixture
def alarm(ministack: str) -> Iterator[tuple[Any, str]]:
    name = f"alarm-{uuid4().hex[:8]}"
    client = boto3.client("cloudwatch", endpoint_url=ministack, region_name=REGION)
    client.put_metric_alarm(
        AlarmName=name,
        MetricName="Errors",
        Namespace="shop",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    yield client, name
    client.delete_alarms(AlarmNames=[name])


def deploy(shop: LambdaShop, text: str, **settings: Any) -> Outputs:
    made: Outputs = deploy_task.fn(
        shop.artifact(text), shop.target(**settings), job=Job(log=print)
    )
    return made


class Watched(LambdaAliasEnvironment):
    """Notes what the alias says whenever the release is looked at."""

    _block_type_slug = "delivery-watched-environment"

    def verify(self, release: Release, percent: float) -> None:
        with self._aws() as aws:
            alias, _ = self._alias(aws.client("lambda"))
        _SEEN.append((percent, alias.version, alias.weights))
        super().verify(release, percent)


_SEEN: list[tuple[float, str, dict[str, float]]] = []


def test_a_canary_gets_its_shares_and_then_everything(shop: LambdaShop) -> None:
    canary = Canary(canary=[CanaryStep(percent=10), CanaryStep(percent=50)])
    target = Watched(function=shop.name, alias="live", strategy=canary)
    deploy_task.fn(shop.artifact("one"), target, job=Job(log=print))
    _SEEN.clear()

    made = deploy_task.fn(shop.artifact("two"), target, job=Job(log=print))

    assert _SEEN == [
        (0, "2", {}),
        (10, "2", {"3": 0.1}),
        (50, "2", {"3": 0.5}),
        (100, "3", {}),
    ]
    assert shop.says() == "two"
    assert shop.target().observe() == made.variables["release"]


def test_when_an_alarm_rises_the_previous_version_serves(
    shop: LambdaShop, alarm: tuple[Any, str]
) -> None:
    client, name = alarm
    good = deploy(shop, "one", alarms=[name]).variables["release"]
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    canary = Canary(canary=[CanaryStep(percent=10)])

    with pytest.raises(ActionFailed, match=f"alarm '{name}' has risen"):
        deploy(shop, "two", alarms=[name], strategy=canary)

    assert shop.says() == "one"
    assert shop.weights() == {}
    assert shop.target().observe() == good


def test_after_a_failed_first_release_the_version_of_before_serves(
    shop: LambdaShop,
) -> None:
    with pytest.raises(ActionFailed, match="alarm 'none' does not exist"):
        deploy(shop, "one", alarms=["none"], strategy="all-at-once")

    assert shop.alias()["FunctionVersion"] == "1"
    assert shop.says() == "by hand"
    assert shop.target().observe() is None


def test_a_release_whose_code_is_published_gets_that_version(shop: LambdaShop) -> None:
    target = shop.target()
    first, same = shop.release("one"), shop.release("one", revision="again")

    for release in (first, first, same):
        target.prepare(release, 1)
        target.shift(release, 100, 1)

    assert shop.versions() == ["$LATEST", "1", "2"]
    assert shop.alias()["FunctionVersion"] == "2"
    assert target.observe() == same.digest


def test_the_action_takes_code_or_a_version(shop: LambdaShop) -> None:
    job = Job(log=print)
    made = deploy_to_lambda.fn(shop.name, "live", shop.artifact("one"), job=job)
    assert made.variables["FunctionVersion"] == "2"
    assert shop.says() == "one"

    made = deploy_to_lambda.fn(
        shop.name,
        "live",
        published_target_version="1",
        deploy_strategy="AllAtOnce",
        job=job,
    )
    assert made.variables["FunctionVersion"] == "1"
    assert shop.says() == "by hand"

    with pytest.raises(ActionFailed, match="either an artifact or"):
        deploy_to_lambda.fn(shop.name, "live", job=job)


def test_without_an_alias_code_becomes_a_version_once(
    shop: LambdaShop, ministack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, path = Wire(), f"/2015-03-31/functions/{shop.name}"
    code = shop.artifact("one")
    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        wire.cuts += [f"PUT {path}/code", f"POST {path}/versions"]

        made = [
            deploy_to_lambda.fn(shop.name, artifact=code, job=Job(log=print)).variables
            for _ in range(2)
        ]
        monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)

    assert wire.cuts == []
    assert made == [{"FunctionVersion": "2"}] * 2
    assert shop.versions() == ["$LATEST", "1", "2"]
    assert shop.says("$LATEST") == "one"
    assert shop.says() == "by hand"


def test_without_an_alias_there_is_no_strategy_and_no_version_to_lead_to(
    shop: LambdaShop,
) -> None:
    for more in (
        {"deploy_strategy": "Canary10Percent5Minutes"},
        {"alarms": ["shop-errors"]},
        {"published_target_version": "1"},
    ):
        with pytest.raises(ActionFailed, match="only code to deploy, all at once"):
            deploy_to_lambda.fn(
                shop.name, artifact=shop.artifact("one"), job=Job(log=print), **more
            )
    assert shop.versions() == ["$LATEST", "1"]


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("AllAtOnce", "all-at-once"),
        (
            "Canary10Percent5Minutes",
            Canary(canary=[CanaryStep(percent=10, pause=300)]),
        ),
        (
            "Linear25PercentEvery1Minute",
            Linear(linear=Increment(percent=25, pause=60)),
        ),
    ],
)
def test_strategies_are_those_of_codepipeline(text: str, strategy: Strategy) -> None:
    assert _strategy(text) == strategy


@pytest.mark.parametrize(
    "text", ["Linear10PercentEvery400Minutes", "Canary100Percent5Minutes", "Slowly"]
)
def test_other_strategies_are_refused(text: str) -> None:
    with pytest.raises(ActionFailed, match=text):
        _strategy(text)


def test_an_older_lease_changes_nothing(shop: LambdaShop) -> None:
    target, release = shop.target(), shop.release("one")
    target.prepare(release, 7)
    before = shop.alias()["RevisionId"]

    with pytest.raises(LeaseLost, match="lease 6 is older"):
        target.shift(release, 100, 6)

    assert shop.alias()["RevisionId"] == before


def test_answers_that_are_lost_after_the_effect_change_nothing_twice(
    shop: LambdaShop, ministack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    path = f"/2015-03-31/functions/{shop.name}"
    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        wire.cuts += [
            f"PUT {path}/code",
            f"POST {path}/versions",
            f"PUT {path}/aliases/live",
        ]
        release = deploy(shop, "one").variables["release"]

        assert wire.cuts == []
        assert shop.target().observe() == release
        monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    assert shop.versions() == ["$LATEST", "1", "2"]
    assert shop.says() == "one"
