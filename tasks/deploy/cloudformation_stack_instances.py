"""Deploy stacks of a stack set of AWS CloudFormation."""

from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.deploy.artifact_files import artifact_files
from prefect_delivery.tasks.deploy.stack_sets import (
    ConcurrencyMode,
    StackSet,
    listed_parameters,
    preferences,
    targets,
)


@action(
    "deploy/cloudformation-stack-instances",
    permissions=(
        "cloudformation:CreateStackInstances",
        "cloudformation:DescribeStackSet",
        "cloudformation:DescribeStackSetOperation",
        "cloudformation:ListStackInstances",
        "cloudformation:ListStackSetOperationResults",
        "cloudformation:ListStackSetOperations",
        "cloudformation:StopStackSetOperation",
        "cloudformation:UpdateStackInstances",
    ),
    variables={
        "StackSetId": "id of the stack set",
        "OperationId": "id of the operation",
    },
)
def deploy_stack_instances(
    stack_set_name: str,
    regions: list[str],
    artifacts: dict[str, Artifact] = {},
    *,
    deployment_targets: str | None = None,
    parameter_overrides: str | None = None,
    failure_tolerance_percentage: Annotated[int, Field(ge=0, le=100)] | None = None,
    max_concurrent_percentage: Annotated[int, Field(ge=1, le=100)] | None = None,
    concurrency_mode: ConcurrencyMode | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 4320,
    job: Job = Job(),
) -> Outputs:
    """Make stacks of a stack set in accounts and regions, or make them anew.

    The operation is started once; when the action is stopped, so is the operation. AWS
    says what becomes of stacks that failed; they are not brought back here.

    Args:
        stack_set_name: Name of the stack set, which exists.
        regions: Regions of the stacks, in the order in which they change.
        artifacts: Where files of targets and parameters are.
        deployment_targets: `Accounts=1,2`, `OrganizationalUnitIds=ou-1`, or a JSON file
            as `artifact::file`.
        parameter_overrides: `ParameterKey=A,ParameterValue=1 ...`, or a JSON file as
            `artifact::file`; in these stacks they go before those of the stack set.
        failure_tolerance_percentage: Percent of a region's stacks that may fail.
        max_concurrent_percentage: Percent of the stacks that change at once.
        concurrency_mode: Whether fewer change at once after a failure.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the stack set.
        timeout: Minutes until the operation is stopped.

    Raises:
        ActionFailed: There is no such stack set, CloudFormation refuses, or too many
            stacks failed; names the first.

    Source: CodePipeline user guide, "AWS CloudFormation StackInstances deploy action
    reference".
    """
    if not deployment_targets:
        raise ActionFailed("deployment_targets are missing")
    order = preferences(
        failure_tolerance_percentage,
        max_concurrent_percentage,
        concurrency_mode,
        regions,
    )
    with (
        aws_session(credentials, role_arn, region) as aws,
        artifact_files(artifacts, job) as files,
    ):
        client = aws.client("cloudformation")
        stack_set = StackSet(client, stack_set_name, job, timeout)
        described = stack_set.described()
        if described is None:
            raise ActionFailed(f"there is no stack set '{stack_set_name}'")
        managed = described.get("PermissionModel") == "SERVICE_MANAGED"
        asked = {
            **targets(deployment_targets, files, managed=managed),
            **order,
            "Regions": regions,
            "ParameterOverrides": listed_parameters(parameter_overrides, files),
        }
        operation = stack_set.operate("stacks", client.create_stack_instances, asked)
    return Outputs(
        variables={
            "StackSetId": described.get("StackSetId", ""),
            "OperationId": operation,
        },
        summary=f"stacks of {stack_set_name}",
    )
