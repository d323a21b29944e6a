"""Start a pipeline of AWS CodePipeline."""

import json
from typing import Any

from prefect_delivery.actions import ActionFailed, Job, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session, start_or_attach, token_of

Entries = list[dict[str, str]] | str
"""A list, or the JSON of it, as CodePipeline has it."""


@action(
    "invoke/codepipeline",
    permissions=("codepipeline:StartPipelineExecution",),
    variables={"PipelineExecutionId": "Id of the execution that was started."},
)
def start_pipeline(
    pipeline_name: str,
    *,
    source_revisions: Entries = [],
    variables: Entries = [],
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Start an execution of a pipeline that AWS CodePipeline runs; do not wait for it.

    Args:
        pipeline_name: Name of the pipeline.
        source_revisions: What its sources are pinned to: `actionName`, `revisionType`
            and `revisionValue` of each.
        variables: `name` and `value` of pipeline variables.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the pipeline.

    Raises:
        ActionFailed: CodePipeline refuses; names its reason.

    Source: CodePipeline user guide, "AWS CodePipeline invoke action reference".
    """
    asked: dict[str, Any] = {
        "name": pipeline_name,
        "clientRequestToken": token_of(job, "codepipeline"),
    }
    for key, name, given in (
        ("sourceRevisions", "source_revisions", source_revisions),
        ("variables", "variables", variables),
    ):
        if entries := _entries(name, given):
            asked[key] = entries
    with aws_session(credentials, role_arn, region) as aws:
        client = aws.client("codepipeline")
        started = start_or_attach(
            job,
            lambda: str(
                client.start_pipeline_execution(**asked)["pipelineExecutionId"]
            ),
        )
    return Outputs(
        variables={"PipelineExecutionId": started},
        summary=f"started {pipeline_name}, execution {started}",
    )


def _entries(name: str, given: Entries) -> list[dict[str, str]]:
    if not isinstance(given, str):
        return given
    try:
        found: object = json.loads(given) if given.strip() else []
    except ValueError as error:
        raise ActionFailed(f"{name}: {error}") from error
    if not isinstance(found, list):
        raise ActionFailed(f"{name} is not a list")
    return found
