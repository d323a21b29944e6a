"""Deployments of CodeDeploy; a double, as moto's never end. moto keeps the rest."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws import Wire, json_service
from codedeploy_double import CodeDeploy

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.tasks.deploy import codedeploy_deployment
from prefect_delivery.tasks.deploy.codedeploy import deploy_with_codedeploy
from prefect_delivery.tasks.deploy.codedeploy_to_ecs import (
    deploy_to_ecs_with_codedeploy,
)

Making = Callable[[dict[str, str]], Artifact]
TASK = {
    "family": "shop",
    "containerDefinitions": [{"name": "web", "image": "<IMAGE1_NAME>", "memory": 64}],
    "requiresCompatibilities": ["FARGATE"],
    "registeredBy": "somebody",
    "tags": [{"key": "team", "value": "shop"}],
}
APPSPEC = """
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: web, ContainerPort: 80}
"""


@pytest.fixture
def codedeploy(
    bucket: str,
    wire: Wire,
    client: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[CodeDeploy]:
    made = CodeDeploy(client("s3"))
    monkeypatch.setattr(codedeploy_deployment, "INTERVAL", 0.01)
    with (
        json_service("codedeploy", made.operations) as backend,
        wire.to(backend) as url,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODEDEPLOY", url)
        yield made


@pytest.fixture
def inputs(artifact: Making) -> dict[str, Artifact]:
    return {
        "app": artifact({"taskdef.json": json.dumps(TASK), "appspec.yaml": APPSPEC}),
        "image": artifact({"imageDetail.json": '{"ImageURI": "1.dkr/shop@sha256:1"}'}),
    }


def to_ecs(inputs: dict[str, Artifact], job: Job, **more: Any) -> str:
    given: dict[str, Any] = {
        "image1_artifact_name": "image",
        "image1_container_name": "IMAGE1_NAME",
        **more,
    }
    made = deploy_to_ecs_with_codedeploy.fn(
        "shop", "live", "app", "app", inputs, job=job, **given
    )
    return str(made.variables["DeploymentId"])


def test_a_group_gets_the_artifact_as_its_revision(
    codedeploy: CodeDeploy, artifact: Making, job: Job, log: list[str]
) -> None:
    source = artifact({"appspec.yml": "version: 0.0", "app/run.sh": "true"})

    made = deploy_with_codedeploy.fn(source, "shop", "live", job=job)

    assert made.variables == {"DeploymentId": "d-1"}
    assert {"appspec.yml", "app/run.sh"} <= set(codedeploy.files("d-1"))
    assert "deployment d-1 is InProgress, 1 InProgress" in log


def test_a_lost_answer_leads_to_no_second_deployment(
    codedeploy: CodeDeploy, artifact: Making, job: Job, wire: Wire
) -> None:
    wire.cuts += ["CreateDeployment"]

    deploy_with_codedeploy.fn(artifact({"appspec.yml": ""}), "shop", "live", job=job)

    assert wire.cuts == []
    assert [*codedeploy.deployments] == ["d-1"]


def test_a_failed_deployment_says_why_and_waits_until_it_is_taken_back(
    codedeploy: CodeDeploy, artifact: Making, job: Job
) -> None:
    codedeploy.fails = True
    source = artifact({"appspec.yml": ""})

    with pytest.raises(
        ActionFailed, match=r"d-1 is Failed: HEALTH_CONSTRAINTS: .*d-2 .* succeeded"
    ):
        deploy_with_codedeploy.fn(source, "shop", "live", job=job)

    assert codedeploy.deployments["d-2"]["status"] == "Succeeded"


def test_a_stopped_action_stops_its_deployment_and_takes_it_back(
    codedeploy: CodeDeploy, artifact: Making, job: Job
) -> None:
    codedeploy.holds = True
    job.cancel("somebody stopped it")

    with pytest.raises(ActionFailed, match="somebody stopped it"):
        deploy_with_codedeploy.fn(
            artifact({"appspec.yml": ""}), "shop", "live", job=job
        )

    (found,) = codedeploy.deployments.values()
    assert (found["status"], found["rolledBack"]) == ("Stopped", True)


def test_whatever_answer_is_lost_one_deployment_is_stopped(
    codedeploy: CodeDeploy, artifact: Making, job: Job, wire: Wire
) -> None:
    codedeploy.holds, wire.each = True, True
    job.cancel("somebody stopped it")

    with pytest.raises(ActionFailed, match="somebody stopped it"):
        deploy_with_codedeploy.fn(
            artifact({"appspec.yml": ""}), "shop", "live", job=job
        )

    (found,) = codedeploy.deployments.values()
    assert (found["status"], found["rolledBack"]) == ("Stopped", True)
    assert {"CreateDeployment", "StopDeployment"} <= wire.lost


def test_a_busy_group_and_a_missing_application_are_named(
    codedeploy: CodeDeploy, artifact: Making, job: Job
) -> None:
    codedeploy.deployments["d-0"] = {"status": "InProgress"}
    source = artifact({"appspec.yml": ""})

    with pytest.raises(ActionFailed, match="already deploying"):
        deploy_with_codedeploy.fn(source, "shop", "live", job=job)
    with pytest.raises(ActionFailed, match="no such application"):
        deploy_with_codedeploy.fn(source, "other", "live", job=job)


@pytest.mark.parametrize("lost", ["RegisterTaskDefinition", "CreateDeployment"])
def test_a_service_gets_one_task_definition_and_one_deployment(
    codedeploy: CodeDeploy,
    inputs: dict[str, Artifact],
    job: Job,
    wire: Wire,
    client: Callable[[str], Any],
    lost: str,
) -> None:
    wire.cuts += [lost]

    number = to_ecs(inputs, job)

    assert wire.cuts == []
    (arn,) = client("ecs").list_task_definitions()["taskDefinitionArns"]
    found = client("ecs").describe_task_definition(taskDefinition=arn, include=["TAGS"])
    (container,) = found["taskDefinition"]["containerDefinitions"]
    assert container["image"] == "1.dkr/shop@sha256:1"
    assert {"key": "team", "value": "shop"} in found["tags"]
    (deployment,) = codedeploy.deployments.values()
    assert deployment["deploymentId"] == number
    content = deployment["revision"]["appSpecContent"]["content"]
    assert content == APPSPEC.replace("<TASK_DEFINITION>", arn)


def test_what_a_template_lacks_is_said(
    codedeploy: CodeDeploy, inputs: dict[str, Artifact], artifact: Making, job: Job
) -> None:
    with pytest.raises(ActionFailed, match="both an artifact and a name"):
        to_ecs(inputs, job, image2_artifact_name="image")
    with pytest.raises(ActionFailed, match=r"no file 'other\.json'"):
        to_ecs(inputs, job, task_definition_template_path="other.json")
    broken = {
        **inputs,
        "image": artifact({"imageDetail.json": '{"ImageURI": "a\\"b"}'}),
    }
    with pytest.raises(ActionFailed, match="must have an 'ImageURI'"):
        to_ecs(broken, job)
    family = artifact({"taskdef.json": "{}", "appspec.yaml": APPSPEC})
    with pytest.raises(ActionFailed, match="a JSON object with a 'family'"):
        to_ecs({**inputs, "app": family}, job)
    assert codedeploy.deployments == {}
