"""Bring a commit from AWS CodeCommit."""

from prefect_delivery.actions import Job, Minutes, Outputs, action
from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.aws_git import (
    Format,
    bring,
    checked_name,
    signed,
)


@action(
    "source/codecommit",
    permissions=("codecommit:GitPull",),
    variables={
        "CommitId": "Full digits of the commit.",
        "CommitMessage": "Commit message, at most 10 KB.",
        "RepositoryName": "Name of the repository.",
        "BranchName": "Branch it was found by.",
        "AuthorDate": "When it was written, in ISO 8601.",
        "CommitterDate": "When it was committed, in ISO 8601.",
    },
)
def bring_from_codecommit(
    repository_name: str,
    branch_name: str,
    *,
    poll_for_source_changes: bool = True,
    output_artifact_format: Format = "CODE_ZIP",
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 10,
    job: Job = Job(),
) -> Outputs:
    """Bring the newest commit of a branch, or the one the execution is pinned to.

    It is fetched by git, with a password that is signed by the AWS identity, which
    needs `codecommit:GitPull`.

    Args:
        repository_name: Name of the repository.
        branch_name: Branch whose newest commit is brought.
        poll_for_source_changes: Has no effect: triggers say when to look.
        output_artifact_format: `CODE_ZIP` brings the files; `CODEBUILD_CLONE_REF` the
            files and `.git` with the history.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the repository.
        timeout: Minutes until the source counts as not answering.

    Returns:
        One artifact, the tree.

    Raises:
        ActionFailed: Repository, branch or commit do not exist or may not be read.

    Source: CodePipeline user guide, "CodeCommit source action reference".
    """
    url, access = reached(repository_name, credentials, role_arn, region)
    found = bring(
        url, access, branch_name, output_artifact_format, job, timeout=timeout
    )
    return Outputs(
        artifacts={"source": found.tree},
        variables={
            "CommitId": found.commit,
            "CommitMessage": found.message,
            "RepositoryName": repository_name,
            "BranchName": branch_name,
            "AuthorDate": found.author_date,
            "CommitterDate": found.committer_date,
        },
        summary=found.summary,
    )


def reached(
    repository_name: str,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
) -> tuple[str, Access]:
    """Where git finds a repository, and what it says there in the next 15 minutes.

    Raises:
        ActionFailed: It has no such name, or the worker has no credentials for AWS.
    """
    name = checked_name("repository_name", repository_name)
    with aws_session(credentials, role_arn, region) as aws:
        own = f"https://git-codecommit.{aws.region}.{aws.domain}"
        url = f"{aws.endpoint('codecommit') or own}/v1/repos/{name}"
        return url, signed(aws, url)
