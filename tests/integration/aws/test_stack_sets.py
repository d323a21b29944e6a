"""Stack sets; see the double for why it is one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws import Wire
from query_double import query_service
from stack_set_double import StackSets

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.deploy import stack_sets
from prefect_delivery.tasks.deploy.cloudformation_stack_instances import (
    deploy_stack_instances,
)
from prefect_delivery.tasks.deploy.cloudformation_stack_set import deploy_stack_set

Making = Callable[[dict[str, str]], Artifact]
FILES = {
    "template.yaml": "Resources: {}",
    "accounts.json": '["111122223333"]',
    "units.json": '{"OrganizationalUnitIds": ["ou-1"]}',
    "values.json": json.dumps([{"ParameterKey": "A", "ParameterValue": "1"}]),
}
WHERE: dict[str, Any] = {
    "deployment_targets": "Accounts=111122223333,444455556666",
    "regions": ["eu-west-1", "us-east-1"],
}


@pytest.fixture
def sets(
    cloud: None, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StackSets]:
    made = StackSets()
    monkeypatch.setattr(stack_sets, "INTERVAL", 0.01)
    with (
        query_service("cloudformation", made.answers) as double,
        wire.to(double) as address,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", address)
        yield made


@pytest.fixture
def deploy(artifact: Making, job: Job) -> Callable[..., Outputs]:
    """Makes the stack set `shop` what a template says."""

    def deploy(template: str = "Resources: {}", **more: Any) -> Outputs:
        source = artifact({**FILES, "template.yaml": template})
        made: Outputs = deploy_stack_set.fn(
            {"app": source}, "shop", "app::template.yaml", job=job, **more
        )
        return made

    return deploy


@pytest.fixture
def instances(artifact: Making, job: Job) -> Callable[..., Outputs]:
    """Makes stacks of the stack set `shop`."""

    def deploy(**more: Any) -> Outputs:
        given = {"regions": ["eu-west-1"], "deployment_targets": "Accounts=1", **more}
        made: Outputs = deploy_stack_instances.fn(
            "shop", artifacts={"app": artifact(FILES)}, job=job, **given
        )
        return made

    return deploy


def test_a_stack_set_is_made_with_stacks_and_then_changed(
    sets: StackSets, deploy: Callable[..., Outputs], job: Job
) -> None:
    made = deploy(
        **WHERE,
        description="a shop",
        parameters='ParameterKey=A,ParameterValue="1 2" ParameterKey=B,UsePreviousValue=true',
        capabilities=["CAPABILITY_IAM"],
        administration_role_arn="arn:aws:iam::111122223333:role/admin",
        execution_role_name="worker",
        failure_tolerance_percentage=10,
        max_concurrent_percentage=50,
        concurrency_mode="SOFT_FAILURE_TOLERANCE",
    )

    assert made.variables["StackSetId"] == "shop:id"
    assert len(sets.stacks["shop"]) == 4
    assert sets.sets["shop"]["Parameters"] == [
        {"ParameterKey": "A", "ParameterValue": "1 2"},
        {"ParameterKey": "B", "UsePreviousValue": True},
    ]
    ((_, asked),) = sets.started
    assert asked["OperationPreferences"] == {
        "RegionOrder": ["eu-west-1", "us-east-1"],
        "FailureTolerancePercentage": 10,
        "MaxConcurrentPercentage": 50,
        "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
    }
    assert asked["OperationId"] == made.variables["OperationId"]

    job.key = "e2/Build/shop/1"
    deploy("Resources: {Two: {Type: T}}", parameters="app::values.json")

    assert [action for action, _ in sets.started] == ["CREATE", "UPDATE"]
    assert "Two" in sets.sets["shop"]["TemplateBody"]


def test_an_organization_is_addressed_as_one(
    sets: StackSets, deploy: Callable[..., Outputs]
) -> None:
    deploy(
        permission_model="SERVICE_MANAGED",
        organizations_auto_deployment="EnabledWithStackRetention",
        deployment_targets="app::units.json",
        regions=["eu-west-1"],
    )

    assert sets.sets["shop"]["AutoDeployment"]["RetainStacksOnAccountRemoval"]
    assert [*sets.stacks["shop"]] == [("ou-1", "eu-west-1")]


def test_stacks_are_made_with_their_own_parameters(
    sets: StackSets, deploy: Callable[..., Outputs], instances: Callable[..., Outputs]
) -> None:
    with pytest.raises(ActionFailed, match="there is no stack set 'shop'"):
        instances()
    deploy()

    made = instances(
        deployment_targets="app::accounts.json", parameter_overrides="app::values.json"
    )

    assert sets.stacks["shop"] == {
        ("111122223333", "eu-west-1"): [{"ParameterKey": "A", "ParameterValue": "1"}]
    }
    assert made.variables == {
        "StackSetId": "shop:id",
        "OperationId": sets.started[0][1]["OperationId"],
    }


def test_answers_that_are_lost_after_the_effect_change_nothing_twice(
    sets: StackSets,
    deploy: Callable[..., Outputs],
    instances: Callable[..., Outputs],
    wire: Wire,
) -> None:
    wire.cuts += ["CreateStackSet", "CreateStackInstances", "CreateStackInstances"]
    deploy(**WHERE)
    # What the same attempt does again after a worker died finds what was done.
    instances()
    instances()

    assert wire.cuts == []
    assert [action for action, _ in sets.started] == ["CREATE", "CREATE"]


def test_why_stacks_failed_is_said(
    sets: StackSets, deploy: Callable[..., Outputs]
) -> None:
    sets.fails = "no such role"

    with pytest.raises(ActionFailed, match="FAILED: 1 eu-west-1: no such role"):
        deploy(**WHERE)


def test_an_update_whose_answer_is_lost_is_made_once(
    sets: StackSets, deploy: Callable[..., Outputs], job: Job, wire: Wire
) -> None:
    deploy(**WHERE)
    job.key, wire.each = "e2/Build/shop/1", True

    deploy("Resources: {Two: {Type: T}}")

    assert [action for action, _ in sets.started] == ["CREATE", "UPDATE"]
    assert "UpdateStackSet" in wire.lost


def test_when_the_action_is_stopped_so_is_the_operation_whatever_answer_is_lost(
    sets: StackSets, deploy: Callable[..., Outputs], job: Job, wire: Wire
) -> None:
    wire.each = True
    job.cancel("somebody stopped it")

    with pytest.raises(ActionFailed, match="somebody stopped it"):
        deploy(**WHERE)

    assert [each["ends"] for each in sets.operations.values()] == ["STOPPED"]
    assert "StopStackSetOperation" in wire.lost


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"deployment_targets": "Accounts=1"}, "together, or neither"),
        ({**WHERE, "deployment_targets": "People=1"}, "names no accounts"),
        ({"parameters": "A=1"}, "'A=1' is no parameter"),
        ({"parameters": "app::template.yaml"}, "is no JSON"),
    ],
)
def test_what_is_wrong_is_said_before_anything_changes(
    sets: StackSets, deploy: Callable[..., Outputs], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ActionFailed, match=said):
        deploy(**more)
    assert sets.sets == {}
