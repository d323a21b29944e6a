"""Deploy files to a bucket of Amazon S3."""

import uuid
from datetime import UTC, datetime

from prefect_delivery.actions import Artifact, Job, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session, token_of
from prefect_delivery.blocks.s3_bucket import CannedAcl, S3BucketEnvironment
from prefect_delivery.permissions import actions_of
from prefect_delivery.tasks.deploy.environment import deploy


@action(
    "deploy/s3",
    permissions=actions_of(
        S3BucketEnvironment(
            bucket="*", canned_acl="private", kms_key_arn="*"
        ).permissions()
    ),
    variables={
        "ObjectKey": "key of the archive, or the folder of the files",
        "release": "digest of the release that serves now; empty for a key of its own",
        "previous": "digest of the release that served before; empty for the first",
    },
)
def deploy_to_s3(
    artifact: Artifact,
    bucket_name: str,
    extract: bool,
    *,
    object_key: str | None = None,
    kms_encryption_key_arn: str | None = None,
    canned_acl: CannedAcl | None = None,
    cache_control: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Write the artifact's files to a bucket, or one archive of them.

    The key, or the folder, is an environment: it keeps its releases, and takes one
    rollout at a time. When the action fails or is stopped, or its worker dies, the
    objects of before come back. Objects that no release has written are left alone.
    A key with `{datetime}` or `{uuid}` is a new one each time, so it replaces nothing.

    Args:
        artifact: The files.
        bucket_name: Name of the bucket, which exists.
        extract: Write each file, not one zip archive of them.
        object_key: Key of the archive, or the folder of the files. `{datetime}` and
            `{uuid}` stand for the time and for a name that no other has.
        kms_encryption_key_arn: KMS key by which the objects are encrypted.
        canned_acl: Who may do what with the objects, such as `public-read`.
        cache_control: Header for browsers and proxies, such as `max-age=300`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the bucket.

    Raises:
        ActionFailed: The bucket does not exist or may not be written to; an archive has
            no key.
        Refused: Somebody else is changing these objects, or they are those of a newer
            execution.

    Source: CodePipeline user guide, "Amazon S3 deploy action reference".
    """
    key = object_key
    if key and ("{uuid}" in key or "{datetime}" in key):
        # Whoever goes on after us must write to the same key.
        key = job.start_or_attach(lambda: _filled(str(object_key), job))
    environment = S3BucketEnvironment(
        bucket=bucket_name,
        extract=extract,
        object_key=key,
        canned_acl=canned_acl,
        cache_control=cache_control,
        kms_key_arn=kms_encryption_key_arn,
        credentials=credentials,
        role_arn=role_arn,
        region=region,
    )
    summary = f"s3://{environment.target}"
    if key != object_key:
        with aws_session(credentials, role_arn, region) as aws, job.workspace() as work:
            artifact.unpack(work / "tree")
            for name, file in environment.files(work / "tree", work).items():
                environment.put(aws.client("s3"), name, file)
        return Outputs(variables={"ObjectKey": key or ""}, summary=summary)
    made: Outputs = deploy.fn(artifact, environment, job=job)
    variables = {name: made.variables[name] for name in ("release", "previous")}
    return Outputs(variables={"ObjectKey": key or "", **variables}, summary=summary)


def _filled(key: str, job: Job) -> str:
    """A key with the time and a name that no other has."""
    unique = uuid.UUID(token_of(job, "s3")[:32])
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    return key.replace("{uuid}", str(unique)).replace("{datetime}", now)
