"""Let a build of AWS CodeBuild say whether a stage may go on."""

from prefect_delivery.actions import Artifact, Job, Minutes, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.build.codebuild_build import PERMISSIONS, run
from prefect_delivery.tasks.build.codebuild_order import Order, Variables


@action(
    "rule/codebuild",
    permissions=PERMISSIONS,
)
def hold_if_build_succeeds(
    project_name: str,
    artifacts: dict[str, Artifact] = {},
    *,
    primary_source: str | None = None,
    batch_enabled: bool = False,
    combine_artifacts: bool = False,
    environment_variables: Variables = [],
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 480,
    job: Job = Job(),
) -> Outputs:
    """Hold when a build of a CodeBuild project succeeds.

    Args:
        project_name: Name of the project. Without artifacts it builds its own source.
        artifacts: At most five sources.
        primary_source: Which of several artifacts is the primary source.
        batch_enabled: Run the builds of the buildspec's `batch` section.
        combine_artifacts: Make one artifact of those of a batch.
        environment_variables: As in `build/codebuild`.
        bucket: S3 bucket through which artifacts go.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the project.
        timeout: Minutes until the build is stopped.

    Raises:
        ActionFailed: The build ended in any state but SUCCEEDED; names the phase.

    Source: CodePipeline user guide, "Rule structure reference", CodeBuild.
    """
    order = Order(
        project=project_name,
        artifacts=artifacts,
        primary=primary_source,
        batch=batch_enabled,
        combine=combine_artifacts,
        variables=environment_variables,
        timeout=timeout,
    )
    with aws_session(credentials, role_arn, region) as aws:
        return run(order, aws, bucket, job)
