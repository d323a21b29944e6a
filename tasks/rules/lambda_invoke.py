"""Let a function of AWS Lambda say whether a stage may go on."""

from prefect_delivery.actions import Artifact, Job, Minutes, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.bundles import BUNDLED
from prefect_delivery.tasks.invoke.lambda_job import Call, carry_out


@action(
    "rule/lambda-invoke",
    permissions=(
        *BUNDLED,
        "lambda:InvokeFunction",
    ),
)
def hold_if_function_succeeds(
    function_name: str,
    artifacts: dict[str, Artifact] = {},
    *,
    user_parameters: str = "",
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 1440,
    job: Job = Job(),
) -> Outputs:
    """Hold when a Lambda function succeeds. It is called as by `invoke/lambda`.

    Args:
        function_name: Name or ARN; a version or alias may follow a colon.
        artifacts: At most five, as zip archives in the bucket.
        user_parameters: Text for the function.
        bucket: S3 bucket through which artifacts go.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the function.
        timeout: Minutes until the function is no longer waited for.

    Raises:
        ActionFailed: The function failed, or nobody knows whether it ran.

    Source: CodePipeline user guide, "Rule structure reference", LambdaInvoke.
    """
    call = Call(
        function=function_name,
        parameters=user_parameters,
        inputs=artifacts,
        timeout=timeout,
    )
    with aws_session(credentials, role_arn, region) as aws:
        return carry_out(call, aws, bucket, job)
