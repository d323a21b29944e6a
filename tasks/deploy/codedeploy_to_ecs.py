"""Deploy to a service of Amazon ECS, blue/green, with AWS CodeDeploy."""

from hashlib import sha256
from typing import Any, Final

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import ONCE, AwsSession, aws_session, token_of
from prefect_delivery.blocks.ecs_service import GIVEN_BY_ECS
from prefect_delivery.tasks.deploy.artifact_files import (
    ArtifactFiles,
    artifact_files,
    as_json,
)
from prefect_delivery.tasks.deploy.codedeploy_deployment import Group, carry_out

MARK: Final = "prefect-delivery:token"
"""Tag of a task definition, by which a later attempt finds it."""
_LOOK_BACK: Final = 10
"""Revisions of a task definition among which an earlier attempt's is looked for."""


@action(
    "deploy/codedeploy-to-ecs",
    permissions=(
        "codedeploy:BatchGetDeployments",
        "codedeploy:CreateDeployment",
        "codedeploy:GetApplicationRevision",
        "codedeploy:GetDeployment",
        "codedeploy:GetDeploymentConfig",
        "codedeploy:ListDeployments",
        "codedeploy:RegisterApplicationRevision",
        "codedeploy:StopDeployment",
        "ecs:DescribeTaskDefinition",
        "ecs:ListTaskDefinitions",
        "ecs:RegisterTaskDefinition",
        "ecs:TagResource",
        "iam:PassRole",
    ),
    variables={
        "DeploymentId": "id of the deployment, such as d-A1B2C3D4E",
    },
)
def deploy_to_ecs_with_codedeploy(
    application_name: str,
    deployment_group_name: str,
    task_definition_template_artifact: str,
    app_spec_template_artifact: str,
    artifacts: dict[str, Artifact],
    *,
    task_definition_template_path: str = "taskdef.json",
    app_spec_template_path: str = "appspec.yaml",
    image1_artifact_name: str | None = None,
    image1_container_name: str | None = None,
    image2_artifact_name: str | None = None,
    image2_container_name: str | None = None,
    image3_artifact_name: str | None = None,
    image3_container_name: str | None = None,
    image4_artifact_name: str | None = None,
    image4_container_name: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 7200,
    job: Job = Job(),
) -> Outputs:
    """Register a task definition, and have CodeDeploy put its tasks in place of others.

    Traffic moves as the deployment group says, and goes back when the deployment fails
    or the action is stopped. When the worker dies, the next one goes on with the same
    deployment.

    Args:
        application_name: Name of the application, which exists.
        deployment_group_name: Name of its deployment group, which exists.
        task_definition_template_artifact: Artifact with the task definition.
        app_spec_template_artifact: Artifact with the appspec, in which
            `<TASK_DEFINITION>` stands for the new task definition.
        artifacts: One to five inputs.
        task_definition_template_path: JSON file, in which `<NAME>` stands for the image
            whose container name is `NAME`.
        app_spec_template_path: YAML or JSON file.
        image1_artifact_name: Artifact with `imageDetail.json`, whose `ImageURI` is the
            image.
        image1_container_name: Name of its placeholder, such as `IMAGE1_NAME`.
        image2_artifact_name: The same for a second image.
        image2_container_name: Name of its placeholder.
        image3_artifact_name: The same for a third image.
        image3_container_name: Name of its placeholder.
        image4_artifact_name: The same for a fourth image.
        image4_container_name: Name of its placeholder.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the service.
        timeout: Minutes until the deployment is stopped.

    Raises:
        ActionFailed: A file is missing or wrong, or the deployment ended in any state
            but Succeeded; says why.

    Source: CodePipeline user guide, "Amazon ECS and CodeDeploy blue-green deploy action
    reference".
    """
    images = [
        (image1_artifact_name, image1_container_name),
        (image2_artifact_name, image2_container_name),
        (image3_artifact_name, image3_container_name),
        (image4_artifact_name, image4_container_name),
    ]
    place = f"{task_definition_template_artifact}::{task_definition_template_path}"
    with artifact_files(artifacts, job) as files:
        text = files.text(place)
        for artifact, name in images:
            if (artifact is None) != (name is None):
                raise ActionFailed("an image needs both an artifact and a name")
            if artifact:
                text = text.replace(f"<{name}>", _image(files, artifact))
        definition = as_json(text, f"'{place}'")
        appspec = files.text(f"{app_spec_template_artifact}::{app_spec_template_path}")
    if not isinstance(definition, dict) or "family" not in definition:
        raise ActionFailed(f"'{place}' must be a JSON object with a 'family'")
    group = Group(application=application_name, group=deployment_group_name)
    with aws_session(credentials, role_arn, region) as aws:
        token = token_of(job, "task-definition")

        def revision() -> dict[str, Any]:
            arn = _registered(aws, definition, token)
            content = appspec.replace("<TASK_DEFINITION>", arn)
            digest = sha256(content.encode()).hexdigest()
            return {
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": content, "sha256": digest},
            }

        return carry_out(group, revision, aws, job, timeout)


def _image(files: ArtifactFiles, artifact: str) -> str:
    found = files.json(f"{artifact}::imageDetail.json")
    uri = found.get("ImageURI") if isinstance(found, dict) else None
    # It takes a place inside of a JSON string.
    if not isinstance(uri, str) or not uri or set(uri) & set('"\\\n'):
        raise ActionFailed(f"'{artifact}::imageDetail.json' must have an 'ImageURI'")
    return uri


def _registered(aws: AwsSession, definition: dict[str, Any], token: str) -> str:
    """ARN of the task definition, which is registered unless an earlier attempt did."""
    ecs = aws.client("ecs")
    arns = ecs.list_task_definitions(
        familyPrefix=definition["family"], sort="DESC", maxResults=_LOOK_BACK
    )["taskDefinitionArns"]
    for arn in arns:
        found = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
        if {"key": MARK, "value": token} in found.get("tags", []):
            return str(arn)
    asked = {key: each for key, each in definition.items() if key not in GIVEN_BY_ECS}
    tags = [*asked.pop("tags", []), {"key": MARK, "value": token}]
    made = aws.client("ecs", ONCE).register_task_definition(**asked, tags=tags)
    return str(made["taskDefinition"]["taskDefinitionArn"])
