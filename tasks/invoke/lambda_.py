"""Call a function of AWS Lambda."""

from prefect_delivery.actions import Artifact, Job, Minutes, Outputs, Patterns, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.bundles import BUNDLED
from prefect_delivery.tasks.invoke.lambda_job import Call, carry_out


@action(
    "invoke/lambda",
    permissions=(
        *BUNDLED,
        "lambda:InvokeFunction",
    ),
)
def call_function(
    function_name: str,
    artifacts: dict[str, Artifact] = {},
    *,
    user_parameters: str = "",
    outputs: Patterns = {},
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 1440,
    job: Job = Job(),
) -> Outputs:
    """Call a Lambda function with CodePipeline's job event, and take its answer.

    The event is that of CodePipeline, without `artifactCredentials`: the function uses
    its own role. It answers by what it returns, in the words of PutJobSuccessResult and
    PutJobFailureResult, as there is no job of CodePipeline it could report on: nothing
    when it is done, `outputVariables` if it has some, `failureDetails` when it failed,
    and `continuationToken` when it goes on; it is then called again with that token.

    Lambda knows no idempotency token. The function is called at most once, besides
    continuations: when the answer gets lost, the action fails and is not retried.

    Args:
        function_name: Name or ARN; a version or alias may follow a colon.
        artifacts: At most five, as zip archives in the bucket.
        user_parameters: Text for the function.
        outputs: At most five artifacts that the function leaves where the event says.
        bucket: S3 bucket through which artifacts go, which the function's role must be
            allowed to use. By default `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the function.
        timeout: Minutes until the function is no longer waited for.

    Raises:
        ActionFailed: The function failed, or nobody knows whether it ran.

    Source: CodePipeline user guide, "AWS Lambda invoke action reference".
    """
    call = Call(
        function=function_name,
        parameters=user_parameters,
        inputs=artifacts,
        outputs=outputs,
        timeout=timeout,
    )
    with aws_session(credentials, role_arn, region) as aws:
        return carry_out(call, aws, bucket, job)
