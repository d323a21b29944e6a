"""Deploy a configuration with AWS AppConfig."""

import mimetypes
from hashlib import sha256
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import (
    ONCE,
    AwsSession,
    aws_session,
    code_of,
    patient,
    start_or_attach,
    stop_with,
    token_of,
)
from prefect_delivery.tasks.deploy.artifact_files import artifact_files

INTERVAL: Final = 5.0
"""Seconds between two looks at a deployment."""
_LOOK_BACK: Final = 20
"""Deployments of an environment among which an earlier attempt's is looked for."""


@action(
    "deploy/appconfig",
    permissions=(
        "appconfig:CreateHostedConfigurationVersion",
        "appconfig:GetDeployment",
        "appconfig:ListDeployments",
        "appconfig:ListHostedConfigurationVersions",
        "appconfig:StartDeployment",
        "appconfig:StopDeployment",
    ),
    variables={
        "ConfigurationVersion": "number of the configuration's version",
        "DeploymentNumber": "number of the deployment in its environment",
    },
)
def deploy_with_appconfig(
    artifact: Artifact,
    application: str,
    environment: str,
    configuration_profile: str,
    input_artifact_configuration_path: str,
    *,
    deployment_strategy: str = "AppConfig.AllAtOnce",
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 1440,
    job: Job = Job(),
) -> Outputs:
    """Make a file a version of a hosted configuration, and deploy it step by step.

    A file that is a version already is not stored again. When an alarm of the
    environment rises, or the action is stopped, AppConfig brings back the version of
    before. When the worker dies, the next one goes on with the same deployment.

    Args:
        artifact: Has the file.
        application: Id of the application.
        environment: Id of the environment.
        configuration_profile: Id of the profile, whose configurations AppConfig hosts.
        input_artifact_configuration_path: Path of the file in the artifact.
        deployment_strategy: Id of a strategy, such as
            `AppConfig.Canary10Percent20Minutes`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the application.
        timeout: Minutes until the deployment is stopped.

    Raises:
        ActionFailed: The file is missing or invalid, or the deployment was rolled back;
            says why.

    Source: CodePipeline user guide, "AWS AppConfig deploy action reference".
    """
    path = input_artifact_configuration_path
    with artifact_files({"artifact": artifact}, job) as files:
        content = files.text(path).encode()
    profile = {
        "ApplicationId": application,
        "ConfigurationProfileId": configuration_profile,
    }
    place = {"ApplicationId": application, "EnvironmentId": environment}
    with aws_session(credentials, role_arn, region) as aws:
        client = aws.client("appconfig")
        asked = {
            **profile,
            **place,
            "DeploymentStrategyId": deployment_strategy,
            "Description": f"prefect-delivery {token_of(job, 'appconfig')}",
        }

        def start() -> str:
            version = _version(aws, profile, content, path)
            return _started(aws, {**asked, "ConfigurationVersion": version}, place)

        number = int(start_or_attach(job, start))
        version = _version(aws, profile, content, path)
        job.log(f"deployment {number} of version {version}")
        deployment = {**place, "DeploymentNumber": number}
        stop_with(
            job,
            lambda: client.stop_deployment(**deployment),
            f"deployment {number}",
        )
        probe = patient(job, lambda: _ended(client, deployment))
        found = job.poll(probe, timeout=timeout, interval=INTERVAL)
    if found["State"] != "COMPLETE":
        raise ActionFailed(
            job.reason if job.cancelled.is_set() else _failure(number, found)
        )
    return Outputs(
        variables={"ConfigurationVersion": version, "DeploymentNumber": str(number)},
        summary=f"version {version} is deployed",
    )


def _version(
    aws: AwsSession, profile: dict[str, str], content: bytes, path: str
) -> str:
    """Number of the version with this content, which is made unless there is one."""
    client, once = aws.client("appconfig"), aws.client("appconfig", ONCE)
    label = f"prefect-delivery-{sha256(content).hexdigest()[:40]}"
    if known := _labelled(client, profile, label):
        return known
    kind = mimetypes.guess_type(path)[0] or "text/plain"
    if path.endswith((".yaml", ".yml")):
        kind = "application/x-yaml"
    try:
        made = once.create_hosted_configuration_version(
            **profile, Content=content, ContentType=kind, VersionLabel=label
        )
    except ClientError as error:
        # Somebody else was faster.
        if code_of(error) != "ConflictException":
            raise
        if known := _labelled(client, profile, label):
            return known
        raise
    return str(made["VersionNumber"])


def _labelled(client: Any, profile: dict[str, str], label: str) -> str | None:
    found = client.list_hosted_configuration_versions(**profile, VersionLabel=label)
    # Some answer all versions whatever is asked for.
    for each in found["Items"]:
        if each.get("VersionLabel") == label:
            return str(each["VersionNumber"])
    return None


def _started(aws: AwsSession, asked: dict[str, str], place: dict[str, str]) -> str:
    """Start a deployment, or find the one that an earlier attempt has started."""
    client = aws.client("appconfig")
    newest = client.list_deployments(**place, MaxResults=_LOOK_BACK)["Items"]
    for each in newest:
        number = each["DeploymentNumber"]
        known = client.get_deployment(**place, DeploymentNumber=number)
        if known.get("Description") == asked["Description"]:
            return str(number)
    once = aws.client("appconfig", ONCE)
    return str(once.start_deployment(**asked)["DeploymentNumber"])


def _ended(client: Any, deployment: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] = client.get_deployment(**deployment)
    going_on = found["State"] in {"DEPLOYING", "BAKING", "VALIDATING", "ROLLING_BACK"}
    return None if going_on else found


def _failure(number: int, found: dict[str, Any]) -> str:
    said = [each.get("Description", "") for each in found.get("EventLog", [])]
    why = next((each for each in said if "ollback" in each), "no reason given")
    return f"deployment {number} is {found['State']}: {why}"
