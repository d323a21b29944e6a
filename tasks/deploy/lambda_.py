"""Deploy a function of AWS Lambda."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs, action
from prefect_delivery.blocks.aws_environment import INTERVAL
from prefect_delivery.blocks.aws_session import aws_session, patient
from prefect_delivery.blocks.lambda_alias import (
    VERSION,
    LambdaAliasEnvironment,
    code_digest,
    ready,
    zipped,
)
from prefect_delivery.permissions import actions_of
from prefect_delivery.rollout import Canary, CanaryStep, Increment, Linear, Strategy
from prefect_delivery.tasks.deploy.environment import deploy

_STRATEGY = (
    r"^(AllAtOnce|Canary\d+Percent\d+Minutes?|Linear\d+PercentEvery\d+Minutes?)$"
)
_LONGEST = 2 * 24 * 60
"""Minutes that a strategy may take in all."""


@action(
    "deploy/lambda",
    permissions=actions_of(
        LambdaAliasEnvironment(function="*", alias="*", alarms=["*"]).permissions()
    ),
    variables={
        "FunctionVersion": "version that was published, or that the alias leads to now",
        "release": "digest of the release that serves now; none without an alias",
        "previous": "digest of the release that served before; empty for the first",
        "url": "empty: an alias says nothing of where people reach it",
    },
)
def deploy_to_lambda(
    function_name: str,
    function_alias: str | None = None,
    artifact: Artifact | None = None,
    *,
    published_target_version: str | None = None,
    deploy_strategy: Annotated[str, Field(pattern=_STRATEGY)] = "AllAtOnce",
    alarms: Annotated[list[str], Field(max_length=10)] = [],
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Publish a function's code as a version and lead an alias to it, step by step.

    When an alarm rises, or the action is stopped, or its worker dies, the version of
    before serves again. The alias is an environment: it keeps its releases, and takes
    one rollout at a time. The first release through this alias gets all traffic at once.

    Without an alias the code is published as a version, and is what `$LATEST` runs from
    then on. Nothing is taken back then: deploy the artifact of before to go back.

    Args:
        function_name: Name or ARN of the function, which exists.
        function_alias: Name of the alias, which exists.
        artifact: The code, as files; not with `published_target_version`.
        published_target_version: A version to lead the alias to, instead of code.
        deploy_strategy: `AllAtOnce`, or such as `Canary10Percent5Minutes` or
            `Linear10PercentEvery1Minute`; at most two days in all. Needs an alias.
        alarms: CloudWatch alarms that must not rise meanwhile. They need an alias.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the function.

    Raises:
        ActionFailed: The rollout failed; names the release that serves now.
        Refused: Somebody else is changing the alias, it is locked, or it runs what a
            newer execution has made.

    Source: CodePipeline user guide, "AWS Lambda deploy action reference".
    """
    if not function_alias:
        return _without_alias(
            function_name,
            artifact,
            plain=published_target_version is None
            and deploy_strategy == "AllAtOnce"
            and not alarms,
            aws=(credentials, role_arn, region),
            job=job,
        )
    if (artifact is None) == (published_target_version is None):
        raise ActionFailed("give either an artifact or 'published_target_version'")
    environment = LambdaAliasEnvironment(
        function=function_name,
        alias=function_alias,
        alarms=alarms,
        strategy=_strategy(deploy_strategy),
        credentials=credentials,
        role_arn=role_arn,
        region=region,
    )
    version = published_target_version
    outputs: Outputs = deploy.fn(
        artifact or _named(version or ""),
        environment,
        variables={VERSION: version} if version else {},
        job=job,
    )
    outputs.variables["FunctionVersion"] = environment.version
    return outputs


def _without_alias(
    function: str,
    artifact: Artifact | None,
    *,
    plain: bool,
    aws: tuple[str | None, str | None, str | None],
    job: Job,
) -> Outputs:
    """Publish code as a version; to repeat it changes nothing more.

    Raises:
        ActionFailed: There is no code or more is asked for, or Lambda refuses it.
    """
    if artifact is None or not plain:
        raise ActionFailed(
            "without 'function_alias' there is only code to deploy, all at once",
            hint="give 'function_alias', or an artifact and nothing else",
        )
    archive = zipped(artifact)
    with aws_session(*aws) as session:
        client = session.client("lambda")

        def is_ready(version: str) -> None:
            probe = patient(job, lambda: ready(client, function, version))
            job.poll(probe, interval=INTERVAL)

        latest = client.get_function_configuration(FunctionName=function)
        if latest["CodeSha256"] != code_digest(archive):
            client.update_function_code(FunctionName=function, ZipFile=archive)
        is_ready("$LATEST")
        # What has not changed since is not published again: we get that version.
        version = client.publish_version(
            FunctionName=function, CodeSha256=code_digest(archive)
        )["Version"]
        is_ready(version)
    return Outputs(
        variables={"FunctionVersion": version},
        summary=f"{function} has version {version}",
    )


def _strategy(text: str) -> Strategy:
    """A strategy, as CodePipeline writes it.

    Raises:
        ActionFailed: It is not one, or takes too long.
    """
    if not re.match(_STRATEGY, text):
        raise ActionFailed(f"'{text}' is no deployment strategy of Lambda")
    if text == "AllAtOnce":
        return "all-at-once"
    percent, minutes = (int(number) for number in re.findall(r"\d+", text))
    steps = 1 if text.startswith("Canary") else 100 // max(percent, 1)
    if not 0 < percent < 100 or not 0 < steps * minutes <= _LONGEST:
        raise ActionFailed(
            f"'{text}' must give 1 to 99 percent and take at most two days"
        )
    if text.startswith("Canary"):
        return Canary(canary=[CanaryStep(percent=percent, pause=minutes * 60)])
    return Linear(linear=Increment(percent=percent, pause=minutes * 60))


def _named(version: str) -> Artifact:
    """An artifact that stands for a version which was published before."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "version").write_text(f"{version}\n", encoding="utf-8")
        return Artifact.of(Path(folder))
