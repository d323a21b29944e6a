"""Deploy a stack of AWS CloudFormation."""

import json
from typing import Any, Literal

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Outputs,
    Patterns,
    action,
)
from prefect_delivery.blocks.aws_session import AwsSession, aws_session, token_of
from prefect_delivery.blocks.cloudformation_api import configuration_of
from prefect_delivery.blocks.cloudformation_changes import (
    CONFIGURATION,
    TEMPLATE,
    Configuration,
    Wanted,
)
from prefect_delivery.blocks.cloudformation_stack import (
    ALLOWED,
    CHANGE_SET,
    CloudFormationStackEnvironment,
)
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.permissions import actions_of
from prefect_delivery.rollout import recover
from prefect_delivery.rollout.lease import leased
from prefect_delivery.tasks.deploy.artifact_files import ArtifactFiles, artifact_files
from prefect_delivery.tasks.deploy.cloudformation_parameters import overridden
from prefect_delivery.tasks.deploy.environment import deploy

_LONGEST = 720
"""Minutes that a stack may take."""


@action(
    "deploy/cloudformation",
    permissions=actions_of(
        CloudFormationStackEnvironment(
            stack="*", stack_role_arn="*", bucket="*"
        ).permissions()
    ),
    variables={
        "*": "each output of the stack",
        "release": "digest of the release that serves now; not of `DELETE_ONLY`",
        "previous": "digest of the release that served before; empty for the first",
    },
)
def deploy_to_cloudformation(
    action_mode: Literal[
        "CREATE_UPDATE",
        "DELETE_ONLY",
        "REPLACE_ON_FAILURE",
        "CHANGE_SET_REPLACE",
        "CHANGE_SET_EXECUTE",
    ],
    stack_name: str,
    artifacts: dict[str, Artifact] = {},
    *,
    change_set_name: str | None = None,
    template_path: str | None = None,
    template_configuration: str | None = None,
    capabilities: list[str] = [],
    role_arn: str | None = None,
    parameter_overrides: dict[str, Any] | str = {},
    output_file_name: str | None = None,
    outputs: Patterns = {},
    bucket: str | None = None,
    credentials: str | None = None,
    action_role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Make, change or delete a stack.

    The stack is an environment: it keeps its releases, which are templates and their
    parameters, and takes one rollout at a time. When a change fails, or the action is
    stopped, or its worker dies, the template and parameters of before serve again. For
    checks, hooks and gates save a `cloudformation-stack` environment and use
    `deploy/environment`.

    Parameters that nothing names have the template's defaults. Tags that no template
    configuration names stay as they are.

    Args:
        action_mode: `CREATE_UPDATE` makes or changes the stack. `REPLACE_ON_FAILURE`
            does, and deletes one before that has failed. `DELETE_ONLY` deletes it.
            `CHANGE_SET_REPLACE` makes a change set, and `CHANGE_SET_EXECUTE` executes it;
            one without changes is left alone.
        stack_name: Name of the stack.
        artifacts: Where templates and configurations are.
        change_set_name: Name of the change set.
        template_path: The template, as `artifact::file`.
        template_configuration: JSON file with Parameters, Tags and StackPolicy, as
            `artifact::file`.
        capabilities: What the template may do, such as `CAPABILITY_IAM`.
        role_arn: Role that CloudFormation takes on for the stack.
        parameter_overrides: Parameters, before those of the configuration. A value may
            be `{"Fn::GetParam": [artifact, file, key]}`, or an artifact's BucketName,
            ObjectKey or URL by `{"Fn::GetArtifactAtt": [artifact, attribute]}`.
        output_file_name: File of JSON for the outputs of the stack, in the artifact.
        outputs: At most one artifact: the file with the outputs.
        bucket: S3 bucket for artifacts that parameters refer to, and for templates over
            51,200 bytes. By default `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        action_role_arn: Role to take on, in this or another account.
        region: Region of the stack.

    Raises:
        ActionFailed: CloudFormation refuses or fails; names the resource, and the
            release that serves now.
        Refused: Somebody else is changing the stack, it is locked, or it runs what a
            newer execution has made.

    Source: CodePipeline user guide, "CloudFormation deploy action reference".
    """
    given = {
        "template_path": template_path,
        "change_set_name": change_set_name,
        "output_file_name": output_file_name,
    }
    _check(action_mode, given, outputs)
    environment = CloudFormationStackEnvironment(
        stack=stack_name,
        template_path=TEMPLATE,
        configuration_path=CONFIGURATION,
        capabilities=capabilities,
        stack_role_arn=role_arn,
        replace_failed=action_mode == "REPLACE_ON_FAILURE",
        bucket=bucket,
        timeout=_LONGEST,
        credentials=credentials,
        role_arn=action_role_arn,
        region=region,
    )
    variables: dict[str, str] = {}
    with aws_session(credentials, action_role_arn, region) as aws:
        if action_mode == "DELETE_ONLY":
            _delete(environment, aws, job)
            return Outputs(summary=f"stack {stack_name} is deleted")
        if action_mode == "CHANGE_SET_EXECUTE":
            variables = _execute(environment, aws, str(change_set_name), job)
        else:
            with artifact_files(artifacts, job) as files:
                values = overridden(parameter_overrides, files, aws, bucket, job)
                wanted = _wanted(
                    files, str(template_path), template_configuration, values
                )
            if action_mode == "CHANGE_SET_REPLACE":
                _make(environment, aws, str(change_set_name), wanted, job)
            else:
                variables = _roll_out(environment, wanted, capabilities, {}, job)
    found = environment.outputs()
    return Outputs(
        artifacts={
            artifact: _kept(found, str(output_file_name), job) for artifact in outputs
        },
        variables={**variables, **found},
        summary=f"stack {stack_name}",
    )


def _check(mode: str, given: dict[str, str | None], outputs: Patterns) -> None:
    needs = {
        "CREATE_UPDATE": ["template_path"],
        "REPLACE_ON_FAILURE": ["template_path"],
        "CHANGE_SET_REPLACE": ["template_path", "change_set_name"],
        "CHANGE_SET_EXECUTE": ["change_set_name"],
    }
    if missing := [name for name in needs.get(mode, []) if not given[name]]:
        raise ActionFailed(f"{mode} needs {' and '.join(missing)}")
    if len(outputs) > 1:
        raise ActionFailed("a stack leaves at most one artifact")
    if outputs and not given["output_file_name"]:
        raise ActionFailed("an output artifact needs output_file_name")


def _wanted(
    files: ArtifactFiles,
    template: str,
    configuration: str | None,
    values: dict[str, str],
) -> Wanted:
    said = Configuration()
    if configuration:
        said = Configuration.read(files.text(configuration), configuration)
    merged = {**said.parameters, **values}
    return Wanted(files.text(template), said.model_copy(update={"parameters": merged}))


def _roll_out(
    environment: CloudFormationStackEnvironment,
    wanted: Wanted,
    capabilities: list[str],
    variables: dict[str, str],
    job: Job,
) -> dict[str, str]:
    with job.workspace() as folder:
        wanted.write(folder)
        artifact = Artifact.of(folder)
    # What a template may do goes with it, also on the way back to it.
    variables = {**variables, ALLOWED: ",".join(capabilities)}
    made: Outputs = deploy.fn(artifact, environment, variables=variables, job=job)
    return {name: made.variables[name] for name in ("release", "previous")}


def _make(
    environment: CloudFormationStackEnvironment,
    aws: AwsSession,
    name: str,
    wanted: Wanted,
    job: Job,
) -> None:
    stack = environment.on(aws)
    note = f"prefect-delivery {token_of(job, 'change-set')}"
    known = stack.change_set(name)
    if known and known.get("Description") == note:
        holds = stack.is_plan(name)
    else:
        if known:
            stack.remove(name)
        stack.settled()
        holds = stack.plan(name, wanted, note)
    job.log(f"change set {name} {'is ready' if holds else 'holds no changes'}")


def _execute(
    environment: CloudFormationStackEnvironment, aws: AwsSession, name: str, job: Job
) -> dict[str, str]:
    stack = environment.on(aws)
    found = stack.change_set(name)
    if not found:
        raise ActionFailed(
            f"stack {environment.stack} has no change set '{name}'",
            hint="once it is executed it is gone: make it anew",
        )
    if not stack.is_plan(name):
        job.log(f"change set {name} holds no changes")
        return {}
    if (state := found.get("ExecutionStatus")) != "AVAILABLE":
        raise ActionFailed(
            f"change set '{name}' cannot be executed: {state}",
            hint="the stack has changed since: make it anew",
        )
    wanted = Wanted(stack.template(name), configuration_of(found))
    change_set = {CHANGE_SET: found["ChangeSetId"]}
    allowed = found.get("Capabilities", [])
    return _roll_out(environment, wanted, allowed, change_set, job)


def _delete(
    environment: CloudFormationStackEnvironment, aws: AwsSession, job: Job
) -> None:
    name = environment.name
    with Ledger.open() as ledger:
        configuration = environment.configuration()
        ledger.environments.register(name, environment.kind, configuration)
        recover(ledger, environment, name, job.log)
        with leased(ledger, name):
            if locked := ledger.environments.get(name).locked:
                raise Refused(f"environment '{name}' is locked: {locked}")
            environment.on(aws).delete()


def _kept(found: dict[str, str], file: str, job: Job) -> Artifact:
    with job.workspace() as folder:
        path = (folder / file).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ActionFailed(f"output_file_name '{file}' is outside of the artifact")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=2, sort_keys=True), encoding="utf-8")
        return Artifact.of(folder)
