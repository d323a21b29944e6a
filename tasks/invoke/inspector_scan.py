"""Look for known vulnerabilities with Amazon Inspector."""

import json
from collections import Counter
from pathlib import Path
from shutil import which
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    Patterns,
    action,
)
from prefect_delivery.blocks.aws_session import AwsSession, aws_session
from prefect_delivery.process import clean_environment, run_process
from prefect_delivery.tasks.deploy.artifact_files import as_json

PROGRAM: Final = "inspector-sbomgen"
FILE: Final = "sbom.json"
_SEVERITIES: Final = ("critical", "high", "medium", "low")

Threshold = Annotated[int, Field(ge=0)]


@action(
    "invoke/inspector-scan",
    permissions=(
        "ecr:BatchGetImage",
        "ecr:DescribeRepositories",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "inspector-scan:ScanSbom",
    ),
    variables={
        "HighestScannedSeverity": "critical, high, medium or low; none without any",
    },
)
def scan_with_inspector(
    inspector_run_mode: Literal["SourceCodeScan", "ECRImageScan"],
    artifact: Artifact | None = None,
    *,
    ecr_repository_name: str | None = None,
    image_tag: str = "latest",
    critical_threshold: Threshold | None = None,
    high_threshold: Threshold | None = None,
    medium_threshold: Threshold | None = None,
    low_threshold: Threshold | None = None,
    outputs: Patterns = {},
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """List what sources or an image are made of, and ask Inspector what is wrong with it.

    The list, a bill of materials, is made on the worker by AWS' own program
    `inspector-sbomgen`, which must be installed there. Nothing is changed anywhere.

    Args:
        inspector_run_mode: What is looked through.
        artifact: The sources; not for an image.
        ecr_repository_name: Repository of the image.
        image_tag: Tag of the image.
        critical_threshold: Critical vulnerabilities that are put up with; no limit by
            default.
        high_threshold: The same for those of high severity.
        medium_threshold: The same for those of medium severity.
        low_threshold: The same for those of low severity.
        outputs: An artifact to keep, with the bill and the vulnerabilities in CycloneDX
            as `sbom.json`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of Inspector and of the repository.
        timeout: Minutes that the list may take.

    Raises:
        ActionFailed: There are more vulnerabilities than a threshold allows, or the list
            cannot be made.

    Source: CodePipeline user guide, "Amazon Inspector InspectorScan invoke action
    reference"; Inspector API ScanSbom; CycloneDX 1.5, "ratings".
    """
    limits = dict(
        zip(
            _SEVERITIES,
            (critical_threshold, high_threshold, medium_threshold, low_threshold),
            strict=True,
        )
    )
    image = inspector_run_mode == "ECRImageScan"
    if image and not ecr_repository_name:
        raise ActionFailed("ECRImageScan needs 'ecr_repository_name'")
    if not image and artifact is None:
        raise ActionFailed("SourceCodeScan needs an artifact")
    with aws_session(credentials, role_arn, region) as aws, job.workspace() as folder:
        if image:
            what = [
                "container",
                "--image",
                _address(aws, ecr_repository_name, image_tag),
            ]
        elif artifact:
            artifact.unpack(folder / "tree")
            what = ["directory", "--path", str(folder / "tree")]
        bill = _bill(what, aws, folder, timeout, job)
        found = aws.client("inspector-scan").scan_sbom(
            sbom=bill, outputFormat="CYCLONE_DX_1_5"
        )["sbom"]
        kept = folder / "kept"
        kept.mkdir()
        (kept / FILE).write_text(json.dumps(found, indent=2), encoding="utf-8")
        artifacts = {
            name: Artifact.of(kept, patterns) for name, patterns in outputs.items()
        }
    counts = _counts(found)
    summary = ", ".join(f"{counts[each]} {each}" for each in _SEVERITIES)
    made = Outputs(
        artifacts=artifacts,
        variables={
            "HighestScannedSeverity": next(
                (each for each in _SEVERITIES if counts[each]), "none"
            )
        },
        summary=summary,
    )
    for severity, limit in limits.items():
        if limit is not None and counts[severity] > limit:
            raise ActionFailed(
                f"{counts[severity]} vulnerabilities are {severity}, {limit} are allowed",
                hint=_worst(found, severity),
                outputs=made,
            )
    return made


def _address(aws: AwsSession, repository: str | None, tag: str) -> str:
    found = aws.client("ecr").describe_repositories(repositoryNames=[repository])
    return f"{found['repositories'][0]['repositoryUri']}:{tag}"


def _bill(
    what: list[str], aws: AwsSession, folder: Path, timeout: float, job: Job
) -> dict[str, Any]:
    """The bill of materials of what the program's arguments name."""
    program = which(PROGRAM)
    if program is None:
        raise ActionFailed(
            f"'{PROGRAM}' is not installed on this worker",
            hint="see the user guide of Amazon Inspector, 'SBOM Generator'",
        )
    identity = aws.frozen_credentials()
    env = {
        "AWS_ACCESS_KEY_ID": identity.access_key,
        "AWS_SECRET_ACCESS_KEY": identity.secret_key,
        "AWS_REGION": aws.region,
        **({"AWS_SESSION_TOKEN": identity.token} if identity.token else {}),
    }
    file = folder / "bill.json"
    run_process(
        [program, *what, "--outfile", str(file)],
        cwd=folder,
        env=clean_environment(env),
        on_line=job.log,
        timeout=timeout * 60,
        cancelled=job.cancelled,
    )
    if not file.is_file():
        raise ActionFailed(f"'{PROGRAM}' has written no list")
    found = as_json(file.read_text(encoding="utf-8"), f"what '{PROGRAM}' has written")
    if not isinstance(found, dict):
        raise ActionFailed(f"what '{PROGRAM}' has written is no JSON object")
    return found


def _counts(found: dict[str, Any]) -> Counter[str]:
    """Vulnerabilities by severity."""
    return Counter(_severity(each) for each in found.get("vulnerabilities", []))


def _severity(vulnerability: dict[str, Any]) -> str:
    """The worst that a vulnerability is rated."""
    rated = {rating.get("severity") for rating in vulnerability.get("ratings", [])}
    return next((each for each in _SEVERITIES if each in rated), "unknown")


def _worst(found: dict[str, Any], severity: str) -> str:
    names = [
        str(each.get("id", "?"))
        for each in found.get("vulnerabilities", [])
        if _severity(each) == severity
    ]
    return ", ".join(names[:10])
