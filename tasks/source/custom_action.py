"""Have a job worker of one's own bring a source."""

from typing import Literal

from prefect_delivery.actions import ActionFailed, Job, Minutes, Outputs, action
from prefect_delivery.ledger.jobs import ActionType
from prefect_delivery.tasks.bundles import BUNDLED
from prefect_delivery.tasks.invoke.worker_job import Order, carry_out

ARTIFACT = "source"


@action(
    "source/custom-action",
    permissions=(*BUNDLED, "sts:GetFederationToken"),
    variables={"commit": "The revision that the worker has brought, if it says."},
)
def bring_by_custom_action(
    provider: str,
    *,
    category: Literal["Source"] = "Source",
    version: str = "1",
    configuration: dict[str, str] = {},
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    artifact_role_arn: str | None = None,
    region: str | None = None,
    job_timeout: Minutes = 60,
    timeout: Minutes = 1440,
    job: Job = Job(),
) -> Outputs:
    """Offer a job to the workers of a custom source, and take what one brings.

    A worker polls `deliver server` at `/delivery/codepipeline` as it polls CodePipeline:
    see `docs/job-workers.md`. One worker takes the job. When the action is stopped, the
    job is given up: what its worker says then is refused.

    Args:
        provider: Name of the action type.
        version: Version of the action type.
        category: Category of the action type.
        configuration: The action's configuration, as the worker reads it.
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
        One artifact, which the worker has put at the place of the job's only output. Its
        `currentRevision` is the revision of the execution.

    Raises:
        ActionFailed: The worker says so, was silent for too long, or none came; or it
            has brought another revision than the execution is pinned to.

    Source: CodePipeline user guide, "Create and add a custom action in CodePipeline".
    """
    order = Order(
        type=ActionType(category=category, provider=provider, version=version),
        configuration=configuration,
        inputs={},
        outputs={ARTIFACT: []},
        bucket=bucket,
        credentials=credentials,
        role_arn=role_arn,
        artifact_role=artifact_role_arn,
        region=region,
        job_timeout=job_timeout,
        timeout=timeout,
    )
    found = carry_out(order, job)
    revision = found.variables.get("commit")
    if job.revision is not None and revision != job.revision:
        raise ActionFailed(
            f"the worker has brought {revision or 'a revision that it does not name'}, "
            f"and the execution is pinned to {job.revision}"
        )
    return found
