"""Have a job worker of one's own carry out an action."""

from typing import Literal

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    Patterns,
    action,
)
from prefect_delivery.ledger.jobs import ActionType
from prefect_delivery.tasks.bundles import BUNDLED
from prefect_delivery.tasks.invoke.worker_job import Order, carry_out


@action(
    "invoke/custom-action",
    permissions=(*BUNDLED, "sts:GetFederationToken"),
)
def run_custom_action(
    category: Literal["Build", "Test", "Deploy", "Invoke", "Approval"],
    provider: str,
    artifacts: dict[str, Artifact] = {},
    *,
    version: str = "1",
    configuration: dict[str, str] = {},
    outputs: Patterns = {},
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    artifact_role_arn: str | None = None,
    region: str | None = None,
    job_timeout: Minutes = 60,
    timeout: Minutes = 1440,
    job: Job = Job(),
) -> Outputs:
    """Offer a job to the workers of a custom action type, and take what one says.

    A worker polls `deliver server` at `/delivery/codepipeline` as it polls CodePipeline:
    see `docs/job-workers.md`. One worker takes the job. When the action is stopped, the
    job is given up: what its worker says then is refused.

    Args:
        category: Category of the action type.
        provider: Name of the action type.
        version: Version of the action type.
        artifacts: At most five, as zip archives in the bucket.
        configuration: The action's configuration, as the worker reads it.
        outputs: At most five artifacts that the worker leaves where the job says.
        bucket: S3 bucket through which artifacts go. By default
            `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on for the bucket, in this or another account.
        artifact_role_arn: Role of which a job worker gets credentials, for the objects of
            the job only. Without one, a federation token of the action's own user; where
            there is no user, none, and the worker needs a role of its own.
        region: Region of the bucket.
        job_timeout: Minutes that a worker may be silent once it has taken the job.
        timeout: Minutes until the job is given up.

    Returns:
        The artifacts and the output variables.

    Raises:
        ActionFailed: The worker says so, was silent for too long, or none came.

    Source: CodePipeline user guide, "Create and add a custom action in CodePipeline".
    """
    if len(artifacts) > 5 or len(outputs) > 5:
        raise ActionFailed("a custom action takes and leaves at most 5 artifacts")
    order = Order(
        type=ActionType(category=category, provider=provider, version=version),
        configuration=configuration,
        inputs=artifacts,
        outputs=outputs,
        bucket=bucket,
        credentials=credentials,
        role_arn=role_arn,
        artifact_role=artifact_role_arn,
        region=region,
        job_timeout=job_timeout,
        timeout=timeout,
    )
    return carry_out(order, job)
