"""Deploy to the hosts of a deployment group of AWS CodeDeploy."""

from prefect_delivery.actions import Artifact, Job, Minutes, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.bundles import BUNDLED, Bundles
from prefect_delivery.tasks.deploy.codedeploy_deployment import Group, carry_out


@action(
    "deploy/codedeploy",
    permissions=(
        *BUNDLED,
        "codedeploy:BatchGetDeployments",
        "codedeploy:CreateDeployment",
        "codedeploy:GetApplicationRevision",
        "codedeploy:GetDeployment",
        "codedeploy:GetDeploymentConfig",
        "codedeploy:ListDeployments",
        "codedeploy:RegisterApplicationRevision",
        "codedeploy:StopDeployment",
    ),
    variables={"DeploymentId": "id of the deployment, such as d-A1B2C3D4E"},
)
def deploy_with_codedeploy(
    artifact: Artifact,
    application_name: str,
    deployment_group_name: str,
    *,
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 7200,
    job: Job = Job(),
) -> Outputs:
    """Have a deployment group install the artifact as its `appspec.yml` says.

    How many hosts are changed at a time, and whether a failed deployment is taken back,
    says the group. When the action is stopped, CodeDeploy stops the deployment and
    brings back the revision of before; when the worker dies, the next one goes on with
    the same deployment.

    Args:
        artifact: The revision, with `appspec.yml` at its root.
        application_name: Name of the application, which exists.
        deployment_group_name: Name of its deployment group, which exists.
        bucket: S3 bucket for the revision, which the hosts must be allowed to read. By
            default `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the application.
        timeout: Minutes until the deployment is stopped.

    Raises:
        ActionFailed: The deployment ended in any state but Succeeded; says why.

    Source: CodePipeline user guide, "AWS CodeDeploy deploy action reference".
    """
    group = Group(application=application_name, group=deployment_group_name)
    with aws_session(credentials, role_arn, region) as aws:
        bundles = Bundles.of(aws, bucket, job)
        place = {
            "bucket": bundles.bucket,
            "key": bundles.put(artifact),
            "bundleType": "zip",
        }
        return carry_out(
            group,
            lambda: {"revisionType": "S3", "s3Location": place},
            aws,
            job,
            timeout,
        )
