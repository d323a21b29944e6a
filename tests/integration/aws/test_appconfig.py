"""Configurations that ministack deploys, and rolls back when it is told to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3  # type: ignore[import-untyped]  # no py.typed
import pytest
from aws import Wire

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.deploy import appconfig
from prefect_delivery.tasks.deploy.appconfig import deploy_with_appconfig

Making = Callable[[dict[str, str]], Artifact]


class Shop:
    """An application with an environment, a hosted profile and strategies."""

    def __init__(self, address: str) -> None:
        self.client = boto3.client("appconfig", endpoint_url=address)
        made = self.client.create_application(Name=f"shop-{uuid4().hex[:8]}")
        application = {"ApplicationId": made["Id"]}
        live = self.client.create_environment(**application, Name="live")
        profile = self.client.create_configuration_profile(
            **application, Name="flags", LocationUri="hosted"
        )
        self.place = {**application, "EnvironmentId": live["Id"]}
        self.profile = {**application, "ConfigurationProfileId": profile["Id"]}
        self.asked = {
            "application": made["Id"],
            "environment": live["Id"],
            "configuration_profile": profile["Id"],
            "input_artifact_configuration_path": "flags.json",
        }

    def strategy(self, minutes: int) -> str:
        return str(
            self.client.create_deployment_strategy(
                Name=f"in-{minutes}",
                DeploymentDurationInMinutes=minutes,
                GrowthFactor=50,
                FinalBakeTimeInMinutes=0,
                ReplicateTo="NONE",
            )["Id"]
        )

    def deployments(self) -> list[str]:
        found = self.client.list_deployments(**self.place)["Items"]
        return [each["State"] for each in found]

    def versions(self) -> list[bytes]:
        found = self.client.list_hosted_configuration_versions(**self.profile)["Items"]
        return [
            self.client.get_hosted_configuration_version(
                **self.profile, VersionNumber=each["VersionNumber"]
            )["Content"].read()
            for each in found
        ]


@pytest.fixture
def shop(
    aws_identity: None, ministack: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    monkeypatch.setattr(appconfig, "INTERVAL", 0.05)
    monkeypatch.setattr("prefect_delivery.actions.PAUSES", (0.01, 0.01, 0.01))
    return Shop(ministack)


def act(shop: Shop, source: Artifact, job: Job, **more: Any) -> Outputs:
    given = {"deployment_strategy": shop.strategy(0), **shop.asked, **more}
    made: Outputs = deploy_with_appconfig.fn(source, job=job, **given)
    return made


def test_a_file_becomes_a_version_and_is_deployed(
    shop: Shop, artifact: Making, job: Job
) -> None:
    made = act(shop, artifact({"flags.json": '{"new": true}'}), job)
    assert made.variables == {"ConfigurationVersion": "1", "DeploymentNumber": "1"}

    job.key = "e2/Deploy/flags/1"
    job._external = None
    again = act(shop, artifact({"flags.json": '{"new": true}'}), job)

    assert again.variables == {"ConfigurationVersion": "1", "DeploymentNumber": "2"}
    assert shop.versions() == [b'{"new": true}']
    assert shop.deployments() == ["COMPLETE", "COMPLETE"]


def test_whatever_answer_is_lost_there_is_one_version_and_one_deployment(
    shop: Shop,
    artifact: Making,
    job: Job,
    ministack: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wire, at_once = Wire(), shop.strategy(0)
    wire.each = True
    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        act(shop, artifact({"flags.json": "{}"}), job, deployment_strategy=at_once)

    assert len(wire.lost) == 2
    assert shop.versions() == [b"{}"]
    assert shop.deployments() == ["COMPLETE"]


@pytest.mark.parametrize("lost", [False, True])
def test_when_the_action_is_stopped_the_deployment_is_rolled_back(
    shop: Shop,
    artifact: Making,
    job: Job,
    ministack: str,
    monkeypatch: pytest.MonkeyPatch,
    lost: bool,
) -> None:
    wire, slow = Wire(), shop.strategy(10)
    place = f"/applications/{shop.asked['application']}/environments"
    stop = f"DELETE {place}/{shop.asked['environment']}/deployments/1"
    wire.cuts += [stop] * lost
    job.cancel("somebody stopped it")

    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(ActionFailed, match="somebody stopped it"):
            act(shop, artifact({"flags.json": "{}"}), job, deployment_strategy=slow)

    assert wire.times(stop) == 1 + lost
    assert shop.deployments() == ["ROLLED_BACK"]


def test_a_missing_file_is_named(shop: Shop, artifact: Making, job: Job) -> None:
    with pytest.raises(ActionFailed, match=r"no file 'flags\.json'"):
        act(shop, artifact({"other": ""}), job)
    assert shop.versions() == []
