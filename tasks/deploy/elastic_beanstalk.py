"""Deploy to an environment of AWS Elastic Beanstalk."""

from prefect_delivery.actions import Artifact, Job, Outputs, action
from prefect_delivery.blocks.elastic_beanstalk import ElasticBeanstalkEnvironment
from prefect_delivery.permissions import actions_of
from prefect_delivery.tasks.deploy.environment import deploy


@action(
    "deploy/elastic-beanstalk",
    permissions=actions_of(
        ElasticBeanstalkEnvironment(application="*", environment="*").permissions()
    ),
    variables={
        "release": "digest of the release that serves now",
        "previous": "digest of the release that served before; empty for the first",
        "url": "where people reach the environment; empty where that is unknown",
    },
)
def deploy_to_elastic_beanstalk(
    artifact: Artifact,
    application_name: str,
    environment_name: str,
    *,
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Have an environment run the artifact, as an application version.

    When the deployment fails, or the environment's health gets red, or the action is
    stopped, or its worker dies, the version of before serves again. It keeps its
    releases, and takes one rollout at a time. For checks, hooks and gates save an
    `elastic-beanstalk` environment and use `deploy/environment`.

    Args:
        artifact: The source bundle, as files.
        application_name: Name of the application, which exists.
        environment_name: Name of its environment, which exists.
        bucket: S3 bucket for the versions; by default Elastic Beanstalk's own.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the environment.

    Raises:
        ActionFailed: The rollout failed; names the release that serves now.
        Refused: Somebody else is changing the environment, it is locked, or it runs what
            a newer execution has made.

    Source: CodePipeline user guide, "AWS Elastic Beanstalk deploy action reference".
    """
    environment = ElasticBeanstalkEnvironment(
        application=application_name,
        environment=environment_name,
        bucket=bucket,
        credentials=credentials,
        role_arn=role_arn,
        region=region,
    )
    outputs: Outputs = deploy.fn(artifact, environment, job=job)
    return outputs
