"""Build with Jenkins."""

from prefect_delivery.actions import Artifact, Job, Minutes, Outputs, Patterns, action
from prefect_delivery.tasks.build.jenkins_build import Order, run
from prefect_delivery.tasks.bundles import BUNDLED

VARIABLES = {
    "BuildNumber": "Number of the build.",
    "BuildUrl": "Page of the build.",
}


@action("build/jenkins", permissions=BUNDLED, variables=VARIABLES)
def build_with_jenkins(
    server: str,
    project_name: str,
    username: str,
    api_token: str,
    artifacts: dict[str, Artifact] = {},
    *,
    parameters: dict[str, str] = {},
    outputs: Patterns = {},
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 1440,
    job: Job = Job(),
) -> Outputs:
    """Build a Jenkins job, follow its log, and take its result.

    When the action is stopped, so is the build. A job with the string parameter
    `DELIVERY_KEY` is never built twice: when the worker dies, the next one goes on with
    the same build. Of a job without it, a build whose worker died is not repeated, and
    the action fails.

    Args:
        server: Address of Jenkins.
        project_name: Name of the job, with its folders: `shop/build`.
        username: Who builds.
        api_token: Name of a Prefect Secret block that holds the user's API token, or
            `env:NAME` for a variable of the worker.
        artifacts: Each is a zip archive at an address in S3, which the build finds in
            its parameter `<NAME>_URL`: `curl -o app.zip "$APP_URL"`.
        parameters: Values of other parameters of the job, which must declare them.
        outputs: What to keep of the files that the build has archived.
        bucket: S3 bucket through which artifacts go. By default
            `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the bucket.
        timeout: Minutes until the build is stopped.

    Returns:
        The artifacts, and the test report if Jenkins has one.

    Raises:
        ActionFailed: The build ended with any result but SUCCESS.

    Source: Jenkins' remote access API; CodePipeline user guide, "Jenkins".
    """
    order = Order(
        server=server,
        username=username,
        api_token=api_token,
        project=project_name,
        parameters=parameters,
        artifacts=artifacts,
        outputs=outputs,
        bucket=bucket,
        credentials=credentials,
        role_arn=role_arn,
        region=region,
        timeout=timeout,
    )
    return run(order, job)
