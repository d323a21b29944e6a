"""Deploy to Linux instances of EC2, or nodes of Systems Manager, in batches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import (
    AwsSession,
    aws_session,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)
from prefect_delivery.tasks.bundles import BUNDLED, Bundles
from prefect_delivery.tasks.deploy.artifact_files import artifact_files
from prefect_delivery.tasks.deploy.ec2_script import Steps, read_steps, script_of

INTERVAL: Final = 5.0
"""Seconds between two looks at a command."""
_AT_ONCE: Final = 50
"""Instances that one command of Systems Manager names."""
_MOST: Final = 500
_GOING_ON: Final = {"Pending", "InProgress", "Cancelling", "Delayed"}


@action(
    "deploy/ec2",
    permissions=(
        *BUNDLED,
        "ec2:DescribeInstances",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:RegisterTargets",
        "ssm:CancelCommand",
        "ssm:DescribeInstanceInformation",
        "ssm:ListCommandInvocations",
        "ssm:ListCommands",
        "ssm:SendCommand",
    ),
)
def deploy_to_ec2(
    artifact: Artifact,
    instance_tag_key: str,
    instance_type: Literal["EC2", "SSM_MANAGED_NODE"],
    *,
    instance_tag_value: str | None = None,
    target_directory: str | None = None,
    deploy_spec: str | None = None,
    pre_script: str | None = None,
    post_script: str | None = None,
    max_batch: Annotated[int, Field(ge=1)] = 1,
    max_error: Annotated[int, Field(ge=0)] = 0,
    target_group_name_list: str | None = None,
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Copy the artifact onto instances and run its scripts there, some at a time.

    The instances have the SSM agent, the AWS command line, `unzip` and `flock`, and may
    read the bucket. An instance that has the artifact already is passed over, so that a
    command which is sent twice has its effect once, and a retry goes on where the last
    attempt failed. When the action is stopped, so is the command that is going on;
    nothing is taken back on the instances.

    Args:
        artifact: What is deployed, and its scripts.
        instance_tag_key: Tag of the instances, at most 500.
        instance_type: Whether they are instances of EC2 or nodes of Systems Manager.
        instance_tag_value: Value of the tag; by default any.
        target_directory: Folder on the instances that the artifact is copied into.
        deploy_spec: Path in the artifact of a deploy spec (version 0.1) or an appspec
            (version 0.0), which says what is copied where, instead of the folder and
            the scripts.
        pre_script: Path in the artifact of a script that runs before the copy.
        post_script: Path in the artifact of a script that runs after it.
        max_batch: Instances that are changed at a time.
        max_error: Instances that may fail before the action does.
        target_group_name_list: Target groups, separated by commas. Instances are taken
            out of them before, and put in again after; one that failed stays out.
        bucket: S3 bucket for the artifact. By default `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the instances.
        timeout: Minutes that a batch may take.

    Raises:
        ActionFailed: More instances failed than may, or there are none; names them.

    Source: CodePipeline user guide, "Amazon EC2 action reference".
    """
    if (target_directory is None) == (deploy_spec is None):
        raise ActionFailed("give either 'target_directory' or 'deploy_spec'")
    with artifact_files({"artifact": artifact}, job) as files:
        if deploy_spec:
            steps = read_steps(files.text(deploy_spec), deploy_spec)
        else:
            steps = Steps.plain(target_directory or "", pre_script, post_script)
    with aws_session(credentials, role_arn, region) as aws:
        bundles = Bundles.of(aws, bucket, job)
        instances = _instances(aws, instance_type, instance_tag_key, instance_tag_value)
        # One action of a pipeline at one place: what it deployed last is noted there.
        place = "\0".join([job.pipeline, job.name, repr(steps)])
        script = script_of(
            steps,
            source=f"s3://{bundles.bucket}/{bundles.put(artifact)}",
            digest=artifact.digest,
            mark=sha256(place.encode()).hexdigest()[:32],
        )
        groups = _groups(aws, target_group_name_list)
        failed: list[str] = []
        for first in range(0, len(instances), min(max_batch, _AT_ONCE)):
            batch = instances[first : first + min(max_batch, _AT_ONCE)]
            with _out_of(aws, groups, batch, timeout, job) as put_back:
                bad = _run(aws, batch, script, timeout, job)
                put_back([each for each in batch if each not in bad])
            failed += bad
            if len(failed) > max_error:
                raise ActionFailed(
                    f"{len(failed)} of {len(instances)} instances failed,"
                    f" {max_error} may: {', '.join(failed)}"
                )
    return Outputs(summary=f"{len(instances) - len(failed)} instances have it")


def _instances(aws: AwsSession, kind: str, key: str, value: str | None) -> list[str]:
    """Ids of the instances, in order.

    Raises:
        ActionFailed: There are none, or too many.
    """
    if kind == "EC2":
        wanted = {"Name": f"tag:{key}", "Values": [value]}
        if value is None:
            wanted = {"Name": "tag-key", "Values": [key]}
        running = {"Name": "instance-state-name", "Values": ["running"]}
        pages = aws.client("ec2").get_paginator("describe_instances")
        found = [
            instance["InstanceId"]
            for page in pages.paginate(Filters=[wanted, running])
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]
    else:
        wanted = {"Key": f"tag:{key}", "Values": [value]}
        if value is None:
            wanted = {"Key": "tag-key", "Values": [key]}
        pages = aws.client("ssm").get_paginator("describe_instance_information")
        found = [
            instance["InstanceId"]
            for page in pages.paginate(Filters=[wanted])
            for instance in page["InstanceInformationList"]
        ]
    if not 0 < len(found) <= _MOST:
        tag = key if value is None else f"{key}={value}"
        raise ActionFailed(
            f"{len(found)} instances have the tag {tag}, not 1 to {_MOST}"
        )
    return sorted(found)


def _run(
    aws: AwsSession, batch: list[str], script: str, timeout: float, job: Job
) -> list[str]:
    """Run a script on instances; those on which it failed."""
    client = aws.client("ssm")
    seconds = max(60, int(timeout * 60))
    # Sent again, it finds its own mark on the instances and does nothing.
    part = Job(key=token_of(job, *batch), log=job.log)
    number = start_or_attach(
        part,
        lambda: str(
            client.send_command(
                InstanceIds=batch,
                DocumentName="AWS-RunShellScript",
                Comment=f"prefect-delivery {job.name}"[:100],
                Parameters={"commands": [script], "executionTimeout": [str(seconds)]},
            )["Command"]["CommandId"]
        ),
    )
    job.log(f"command {number} on {', '.join(batch)}")
    stop_with(job, lambda: client.cancel_command(CommandId=number), f"command {number}")

    def ended() -> list[dict[str, Any]] | None:
        command = client.list_commands(CommandId=number)["Commands"]
        # It is not listed at once.
        if not command or command[0]["Status"] in _GOING_ON:
            return None
        pages = client.get_paginator("list_command_invocations").paginate(
            CommandId=number, Details=True
        )
        return [each for page in pages for each in page["CommandInvocations"]]

    found = job.poll(patient(job, ended), timeout=timeout, interval=INTERVAL)
    if job.cancelled.is_set():
        raise ActionFailed(job.reason)
    for each in found:
        for plugin in each.get("CommandPlugins", []):
            for line in plugin.get("Output", "").splitlines():
                job.log(f"{each['InstanceId']}: {line}")
    good = {each["InstanceId"] for each in found if each["Status"] == "Success"}
    return [each for each in batch if each not in good]


def _groups(aws: AwsSession, names: str | None) -> list[str]:
    wanted = [each.strip() for each in (names or "").split(",") if each.strip()]
    if not wanted:
        return []
    found = aws.client("elbv2").describe_target_groups(Names=wanted)
    return [each["TargetGroupArn"] for each in found["TargetGroups"]]


@contextmanager
def _out_of(
    aws: AwsSession, groups: list[str], batch: list[str], timeout: float, job: Job
) -> Iterator[Callable[[list[str]], None]]:
    """Take instances out of target groups; gives what puts some in again."""
    client = aws.client("elbv2")

    def targets(ids: list[str]) -> list[dict[str, str]]:
        return [{"Id": each} for each in ids]

    def states(group: str) -> dict[str, str]:
        found = client.describe_target_health(TargetGroupArn=group)
        return {
            each["Target"]["Id"]: each["TargetHealth"]["State"]
            for each in found["TargetHealthDescriptions"]
        }

    def wait(ids: list[str], *wanted: str) -> None:
        def done() -> bool | None:
            found = [
                states(group).get(each, "unused") for group in groups for each in ids
            ]
            return True if set(found) <= set(wanted) else None

        job.poll(patient(job, done), timeout=timeout, interval=INTERVAL)

    def put_back(ids: list[str]) -> None:
        if not groups or not ids:
            return
        for group in groups:
            client.register_targets(TargetGroupArn=group, Targets=targets(ids))
        # A group that no listener uses says `unused` of all its targets.
        wait(ids, "healthy", "unused")

    for group in groups:
        if known := [each for each in batch if each in states(group)]:
            client.deregister_targets(TargetGroupArn=group, Targets=targets(known))
    if groups:
        wait(batch, "unused")
    yield put_back
