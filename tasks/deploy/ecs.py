"""Deploy to a service of Amazon ECS, task by task."""

from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import Artifact, Job, Outputs, action
from prefect_delivery.blocks.ecs_service import EcsServiceEnvironment
from prefect_delivery.permissions import actions_of
from prefect_delivery.tasks.deploy.environment import deploy


@action(
    "deploy/ecs",
    permissions=actions_of(
        EcsServiceEnvironment(cluster="*", service="*").permissions()
    ),
    variables={
        "release": "digest of the release that serves now",
        "previous": "digest of the release that served before; empty for the first",
        "url": "empty: a service says nothing of where people reach it",
    },
)
def deploy_to_ecs(
    artifact: Artifact,
    cluster_name: str,
    service_name: str,
    *,
    file_name: str = "imagedefinitions.json",
    deployment_timeout: Annotated[float, Field(gt=0, le=60)] = 60,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Have a service run the images that the artifact names.

    The task definition that the service has gets a new revision with these images. When
    its tasks do not start, or the action is stopped, or its worker dies, the revision of
    before serves again. The service is an environment: it keeps its releases, and takes
    one rollout at a time. For checks, hooks and gates save an `ecs-service` environment
    and use `deploy/environment`.

    Args:
        artifact: Has the file of image definitions.
        cluster_name: Name of the cluster.
        service_name: Name of the service, which exists.
        file_name: JSON list of objects with `name` of a container and its `imageUri`.
        deployment_timeout: Minutes until tasks that do not start have failed.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the cluster.

    Raises:
        ActionFailed: The rollout failed; names the release that serves now.
        Refused: Somebody else is changing the service, it is locked, or it runs what a
            newer execution has made.

    Source: CodePipeline user guide, "Amazon ECS deploy action reference".
    """
    environment = EcsServiceEnvironment(
        cluster=cluster_name,
        service=service_name,
        file_name=file_name,
        timeout=deployment_timeout,
        credentials=credentials,
        role_arn=role_arn,
        region=region,
    )
    outputs: Outputs = deploy.fn(artifact, environment, job=job)
    return outputs
