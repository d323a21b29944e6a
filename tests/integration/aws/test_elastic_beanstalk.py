"""Elastic Beanstalk; see the double for why it is one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws import Wire
from beanstalk_double import BUCKET, Beanstalk
from query_double import query_service

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.blocks import Hooks
from prefect_delivery.blocks.elastic_beanstalk import ElasticBeanstalkEnvironment
from prefect_delivery.errors import LeaseLost
from prefect_delivery.ledger import Ledger
from prefect_delivery.tasks.deploy.elastic_beanstalk import deploy_to_elastic_beanstalk
from prefect_delivery.tasks.deploy.environment import deploy

Making = Callable[[dict[str, str]], Artifact]


@pytest.fixture
def beanstalk(
    cloud: None,
    wire: Wire,
    client: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Beanstalk]:
    made = Beanstalk(client("s3"))
    client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    interval = "prefect_delivery.blocks.aws_environment.INTERVAL"
    monkeypatch.setattr(interval, 0.01)
    with (
        query_service("elasticbeanstalk", made.answers) as double,
        wire.to(double) as address,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_ELASTIC_BEANSTALK", address)
        yield made


def target(**more: Any) -> ElasticBeanstalkEnvironment:
    return ElasticBeanstalkEnvironment(
        application="shop", environment="shop-live", **more
    )


def act(artifact: Artifact) -> Outputs:
    made: Outputs = deploy_to_elastic_beanstalk.fn(
        artifact, "shop", "shop-live", job=Job(log=print)
    )
    return made


def test_an_artifact_becomes_the_version_that_runs(
    beanstalk: Beanstalk, artifact: Making
) -> None:
    made = act(artifact({"app.py": "one"}))

    release = made.variables["release"]
    assert beanstalk.environment["VersionLabel"] == f"prefect-delivery-{release}"
    assert beanstalk.versions[f"prefect-delivery-{release}"]["names"] == ["app.py"]
    assert target().observe() == release
    assert made.variables["url"] == "http://shop-live.example.com"


@pytest.mark.parametrize(
    ("file", "said"), [("broken", "not release"), ("red", "health is Red")]
)
def test_after_a_failure_the_previous_version_serves(
    beanstalk: Beanstalk, artifact: Making, file: str, said: str
) -> None:
    with pytest.raises(ActionFailed):
        act(artifact({file: "first"}))
    assert beanstalk.environment["VersionLabel"] == "by-hand"
    good = act(artifact({"app.py": "one"})).variables["release"]

    with pytest.raises(ActionFailed, match=said):
        act(artifact({file: "two"}))

    assert target().observe() == good


def test_a_failed_check_brings_back_what_somebody_has_deployed(
    beanstalk: Beanstalk, artifact: Making
) -> None:
    with pytest.raises(ActionFailed):
        deploy.fn(
            artifact({"app.py": "one"}),
            target(hooks=Hooks(after=["false"])),
            job=Job(log=print),
        )

    assert beanstalk.environment["VersionLabel"] == "by-hand"
    assert len(beanstalk.updates) == 2


def test_an_older_lease_changes_nothing(beanstalk: Beanstalk, artifact: Making) -> None:
    made = act(artifact({"app.py": "one"}))
    with Ledger.open() as ledger:
        release = ledger.releases.get(made.variables["release"])
    target().prepare(release, 70)

    for verb in (target().prepare, target().commit, target().discard):
        with pytest.raises(LeaseLost, match="lease 69 is older"):
            verb(release, 69)


def test_answers_that_are_lost_after_the_effect_change_nothing_twice(
    beanstalk: Beanstalk, artifact: Making, wire: Wire
) -> None:
    wire.cuts += ["CreateApplicationVersion", "UpdateEnvironment"]

    made = act(artifact({"app.py": "one"}))

    assert wire.cuts == []
    assert beanstalk.updates == [f"prefect-delivery-{made.variables['release']}"]
    assert target().observe() == made.variables["release"]


def test_whatever_answer_is_lost_the_version_of_before_comes_back(
    beanstalk: Beanstalk, artifact: Making, wire: Wire
) -> None:
    wire.each = True

    good = act(artifact({"app.py": "one"})).variables["release"]
    with pytest.raises(ActionFailed, match="health is Red"):
        act(artifact({"red": "two"}))

    assert target().observe() == good
    assert wire.lost >= {
        "CreateApplicationVersion",
        "CreateStorageLocation",
        "UpdateEnvironment",
        "UpdateTagsForResource",
    }
    assert len(beanstalk.updates) == 3
