"""Bring a commit from a git server through an AWS CodeConnections connection."""

import re

from prefect_delivery.actions import ActionFailed, Job, Minutes, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.aws_git import (
    Format,
    bring,
    checked_name,
    signed,
)

_ARN = re.compile(
    r"arn:[\w-]+:(codeconnections|codestar-connections):([\w-]+):(\d{12})"
    r":connection/([\w-]+)"
)


@action(
    "source/connection",
    permissions=(
        "codeconnections:UseConnection",
        "codestar-connections:UseConnection",
    ),
    variables={
        "AuthorDate": "When the commit was written, in ISO 8601.",
        "BranchName": "Branch it was found by.",
        "CommitId": "Full digits of the commit.",
        "CommitMessage": "Commit message, at most 10 KB.",
        "ConnectionArn": "ARN of the connection.",
        "FullRepositoryName": "Owner and name of the repository.",
    },
)
def bring_by_connection(
    connection_arn: str,
    full_repository_id: str,
    branch_name: str,
    *,
    output_artifact_format: Format = "CODE_ZIP",
    detect_changes: bool = True,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 10,
    job: Job = Job(),
) -> Outputs:
    """Bring the newest commit of a branch, or the one the execution is pinned to.

    GitHub, GitLab, Bitbucket and Azure DevOps are reached through AWS, which holds
    their credentials. The AWS identity needs `UseConnection` for the connection.

    Args:
        connection_arn: ARN of the connection.
        full_repository_id: Owner and name, such as `acme/shop`; capitals matter.
        branch_name: Branch whose newest commit is brought.
        output_artifact_format: `CODE_ZIP` brings the files; `CODEBUILD_CLONE_REF` the
            files and `.git` with the history.
        detect_changes: Has no effect: triggers say when to look.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region in which requests are signed; by default the connection's.
        timeout: Minutes until the source counts as not answering.

    Returns:
        One artifact, the tree.

    Raises:
        ActionFailed: Connection, repository, branch or commit do not exist or may not
            be read.

    Source: CodePipeline user guide, "CodeStarSourceConnection"; EKS user guide,
    "Connect to Git repositories with AWS CodeConnections" (address).
    """
    url, access = reached(
        connection_arn, full_repository_id, credentials, role_arn, region
    )
    found = bring(
        url, access, branch_name, output_artifact_format, job, timeout=timeout
    )
    return Outputs(
        artifacts={"source": found.tree},
        variables={
            "AuthorDate": found.author_date,
            "BranchName": branch_name,
            "CommitId": found.commit,
            "CommitMessage": found.message,
            "ConnectionArn": connection_arn,
            "FullRepositoryName": full_repository_id,
        },
        summary=found.summary,
    )


def reached(
    connection_arn: str,
    full_repository_id: str,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
) -> tuple[str, Access]:
    """Where git finds a repository, and what it says there in the next 15 minutes.

    Raises:
        ActionFailed: Connection or repository have no such name, or the worker has no
            credentials for AWS.
    """
    match = _ARN.fullmatch(connection_arn)
    if match is None:
        raise ActionFailed(f"{connection_arn!r} is not the ARN of a connection")
    service, place, account, connection = match.groups()
    name = checked_name("full_repository_id", full_repository_id)
    with aws_session(credentials, role_arn, region or place) as aws:
        server = aws.endpoint(service) or f"https://{service}.{place}.{aws.domain}"
        url = f"{server}/git-http/{account}/{place}/{connection}/{name}.git"
        return url, signed(aws, url)
