"""Build with AWS CodeBuild."""

from prefect_delivery.actions import Artifact, Job, Minutes, Outputs, Patterns, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.build.codebuild_build import PERMISSIONS, run
from prefect_delivery.tasks.build.codebuild_order import Order, Variables


@action(
    "build/codebuild",
    permissions=PERMISSIONS,
)
def build_with_codebuild(
    project_name: str,
    artifacts: dict[str, Artifact],
    *,
    primary_source: str | None = None,
    batch_enabled: bool = False,
    combine_artifacts: bool = False,
    buildspec_override: str | None = None,
    environment_variables: Variables = [],
    service_role_arn_override: str | None = None,
    outputs: Patterns = {},
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 2160,
    job: Job = Job(),
) -> Outputs:
    """Run a build of a CodeBuild project, or a batch of builds, and wait for it.

    Its log is followed. When the action is stopped, so is the build; when the worker
    dies, the next one goes on with the same build.

    Args:
        project_name: Name of the project. Its own source and artifacts are not used.
        artifacts: One to five sources. The primary one is `$CODEBUILD_SRC_DIR`, each
            other `$CODEBUILD_SRC_DIR_<name>`.
        primary_source: Which of several artifacts is the primary source.
        batch_enabled: Run the builds of the buildspec's `batch` section.
        combine_artifacts: Make one artifact of those of a batch.
        buildspec_override: A buildspec, its path in the primary source, or the ARN of
            one in S3.
        environment_variables: Name, value, and type: PLAINTEXT, PARAMETER_STORE or
            SECRETS_MANAGER. They go before those of project and buildspec.
        service_role_arn_override: Role of the build, instead of the project's.
        outputs: Up to five artifacts to keep. A single one is the primary artifact; of
            several, each is the secondary artifact, or the build of a batch, of that
            name.
        bucket: S3 bucket through which artifacts go, which the build's role must be
            allowed to use. By default `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the project.
        timeout: Minutes until the build is stopped.

    Returns:
        The artifacts, the exported variables and the reports of the build.

    Raises:
        ActionFailed: The build ended in any state but SUCCEEDED; names the phase.

    Source: CodePipeline user guide, "AWS CodeBuild build and test action reference".
    """
    order = Order(
        project=project_name,
        artifacts=artifacts,
        primary=primary_source,
        batch=batch_enabled,
        combine=combine_artifacts,
        buildspec=buildspec_override,
        variables=environment_variables,
        service_role=service_role_arn_override,
        outputs=outputs,
        timeout=timeout,
    )
    with aws_session(credentials, role_arn, region) as aws:
        return run(order, aws, bucket, job)
