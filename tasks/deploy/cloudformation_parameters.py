"""Parameters of a template, as CodePipeline lets them be overridden."""

from typing import Any

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.blocks.aws_session import AwsSession
from prefect_delivery.blocks.cloudformation_changes import as_text
from prefect_delivery.tasks.bundles import Bundles
from prefect_delivery.tasks.deploy.artifact_files import ArtifactFiles, as_json

_ATTRIBUTES = ("BucketName", "ObjectKey", "URL")


def overridden(
    overrides: dict[str, Any] | str,
    files: ArtifactFiles,
    aws: AwsSession,
    bucket: str | None,
    job: Job,
) -> dict[str, str]:
    """Parameters by name, with the values of what they refer to.

    Args:
        overrides: By name: a value, `{"Fn::GetArtifactAtt": [artifact, attribute]}` or
            `{"Fn::GetParam": [artifact, file, key]}`; or the JSON of it.
        bucket: Where artifacts go whose place in S3 is asked for.

    Raises:
        ActionFailed: Malformed, or what it refers to is not there; names the parameter.

    Source: AWS CloudFormation user guide, "Using parameter override functions with
    CodePipeline pipelines".
    """
    found = (
        as_json(overrides, "parameter_overrides")
        if isinstance(overrides, str)
        else overrides
    )
    if not isinstance(found, dict):
        raise ActionFailed("parameter_overrides must be a mapping of parameters")
    return {
        name: _value(name, value, files, aws, bucket, job)
        for name, value in found.items()
    }


def _value(
    name: str,
    value: Any,
    files: ArtifactFiles,
    aws: AwsSession,
    bucket: str | None,
    job: Job,
) -> str:
    match value:
        case {"Fn::GetParam": [str(artifact), str(file), str(key)]}:
            said = files.json(f"{artifact}::{file}")
            if not isinstance(said, dict) or key not in said:
                raise ActionFailed(f"parameter {name}: '{file}' has no key '{key}'")
            return as_text(said[key])
        case {"Fn::GetArtifactAtt": [str(artifact), str(attribute)]}:
            if attribute not in _ATTRIBUTES:
                raise ActionFailed(
                    f"parameter {name}: an artifact has no attribute '{attribute}'",
                    hint=f"it has {', '.join(_ATTRIBUTES)}",
                )
            bundles = Bundles.of(aws, bucket, job)
            key = bundles.put(files.named(artifact))
            place = (bundles.bucket, key, aws.object_url(bundles.bucket, key))
            return place[_ATTRIBUTES.index(attribute)]
        case dict():
            raise ActionFailed(
                f"parameter {name}: neither a value nor a known function",
                hint='write {"Fn::GetArtifactAtt": [artifact, attribute]} or'
                ' {"Fn::GetParam": [artifact, file, key]}',
            )
        case _:
            return as_text(value)
