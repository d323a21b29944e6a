"""Deploy a stack set of AWS CloudFormation."""

from typing import Annotated, Any, Literal

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed
from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import aws_session, code_of, token_of
from prefect_delivery.tasks.deploy.artifact_files import artifact_files
from prefect_delivery.tasks.deploy.stack_sets import (
    ConcurrencyMode,
    Data,
    StackSet,
    listed_parameters,
    preferences,
    targets,
)

_AUTOMATIC: dict[str, Data] = {
    "Disabled": {"Enabled": False},
    "Enabled": {"Enabled": True, "RetainStacksOnAccountRemoval": False},
    "EnabledWithStackRetention": {
        "Enabled": True,
        "RetainStacksOnAccountRemoval": True,
    },
}


@action(
    "deploy/cloudformation-stack-set",
    permissions=(
        "cloudformation:CreateStackInstances",
        "cloudformation:CreateStackSet",
        "cloudformation:DescribeStackSet",
        "cloudformation:DescribeStackSetOperation",
        "cloudformation:ListStackInstances",
        "cloudformation:ListStackSetOperationResults",
        "cloudformation:ListStackSetOperations",
        "cloudformation:StopStackSetOperation",
        "cloudformation:UpdateStackInstances",
        "cloudformation:UpdateStackSet",
        "iam:PassRole",
    ),
    variables={
        "StackSetId": "id of the stack set",
        "OperationId": "id of the last operation; empty when none was needed",
    },
)
def deploy_stack_set(
    artifacts: dict[str, Artifact],
    stack_set_name: str,
    template_path: str,
    *,
    description: str | None = None,
    parameters: str | None = None,
    capabilities: list[str] = [],
    permission_model: Literal["SELF_MANAGED", "SERVICE_MANAGED"] = "SELF_MANAGED",
    administration_role_arn: str | None = None,
    execution_role_name: str | None = None,
    organizations_auto_deployment: Literal[
        "Disabled", "Enabled", "EnabledWithStackRetention"
    ] = "Disabled",
    deployment_targets: str | None = None,
    regions: list[str] = [],
    failure_tolerance_percentage: Annotated[int, Field(ge=0, le=100)] | None = None,
    max_concurrent_percentage: Annotated[int, Field(ge=1, le=100)] | None = None,
    concurrency_mode: ConcurrencyMode | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 4320,
    job: Job = Job(),
) -> Outputs:
    """Make or change a stack set, and make its first stacks.

    Stacks that there are change with it: those of `deployment_targets` and `regions`, or
    all. Each operation is started once; when the action is stopped, so is the operation.
    AWS says what becomes of stacks that failed; they are not brought back here.

    Args:
        artifacts: Where the template and files of parameters and targets are.
        stack_set_name: Name of the stack set.
        template_path: The template, as `artifact::file`.
        description: What people read about the stack set.
        parameters: `ParameterKey=A,ParameterValue=1 ...`, or a JSON file as
            `artifact::file`.
        capabilities: What the template may do, such as `CAPABILITY_IAM`.
        permission_model: Whether roles in the accounts or the organization gives access.
        administration_role_arn: Role that CloudFormation takes on here.
        execution_role_name: Role that it takes on in each account.
        organizations_auto_deployment: Whether accounts that join the organization get
            stacks, and whether those that leave keep them.
        deployment_targets: `Accounts=1,2`, `OrganizationalUnitIds=ou-1`, or a JSON file
            as `artifact::file`.
        regions: Regions of the stacks, in the order in which they change.
        failure_tolerance_percentage: Percent of a region's stacks that may fail.
        max_concurrent_percentage: Percent of the stacks that change at once.
        concurrency_mode: Whether fewer change at once after a failure.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the stack set.
        timeout: Minutes until an operation is stopped.

    Raises:
        ActionFailed: CloudFormation refuses, or too many stacks failed; names the first.

    Source: CodePipeline user guide, "AWS CloudFormation StackSets deploy action
    reference".
    """
    if bool(deployment_targets) != bool(regions):
        raise ActionFailed("give deployment_targets and regions together, or neither")
    managed = permission_model == "SERVICE_MANAGED"
    with artifact_files(artifacts, job) as files:
        values = listed_parameters(parameters, files)
        template = files.text(template_path)
        where = {}
        if deployment_targets:
            found = targets(deployment_targets, files, managed=managed)
            where = {**found, "Regions": regions}
    given = {
        "TemplateBody": template,
        "Parameters": values,
        "Capabilities": capabilities,
        "PermissionModel": permission_model,
        "Description": description,
        "AdministrationRoleARN": administration_role_arn,
        "ExecutionRoleName": execution_role_name,
        "AutoDeployment": _AUTOMATIC[organizations_auto_deployment]
        if managed
        else None,
    }
    asked = {key: value for key, value in given.items() if value is not None}
    order = preferences(
        failure_tolerance_percentage,
        max_concurrent_percentage,
        concurrency_mode,
        regions,
    )
    with aws_session(credentials, role_arn, region) as aws:
        client = aws.client("cloudformation")
        stack_set = StackSet(client, stack_set_name, job, timeout)
        operation = ""
        if stack_set.described() is None:
            _create(client, stack_set_name, asked, token_of(job, "stack-set"))
        elif _has_stacks(client, stack_set_name):
            changed = {**asked, **where, **order}
            operation = stack_set.operate("update", client.update_stack_set, changed)
        else:
            operation = stack_set.operate("update", client.update_stack_set, asked)
        if where and not _has_stacks(client, stack_set_name):
            first = {**where, **order}
            operation = stack_set.operate("first", client.create_stack_instances, first)
        described = stack_set.described() or {}
    return Outputs(
        variables={
            "StackSetId": described.get("StackSetId", ""),
            "OperationId": operation,
        },
        summary=f"stack set {stack_set_name}",
    )


def _create(client: Any, name: str, asked: Data, token: str) -> None:
    try:
        client.create_stack_set(StackSetName=name, ClientRequestToken=token, **asked)
    except ClientError as error:
        # The answer to an earlier attempt got lost, or somebody else was faster.
        if code_of(error) != "NameAlreadyExistsException":
            raise


def _has_stacks(client: Any, name: str) -> bool:
    found = client.list_stack_instances(StackSetName=name, MaxResults=1)
    return bool(found["Summaries"])
