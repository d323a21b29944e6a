"""Bring a commit from GitHub with a token, as CodePipeline's first GitHub action did."""

import re

from prefect_delivery.actions import ActionFailed, Job, Minutes, Outputs, action
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.aws_git import bring, checked_name

_REDACTED = re.compile(r"\*+")


@action(
    "source/github",
    variables={
        "AuthorDate": "When the commit was written, in ISO 8601.",
        "BranchName": "Branch it was found by.",
        "CommitId": "Full digits of the commit.",
        "CommitMessage": "Commit message, at most 10 KB.",
        "CommitterDate": "When it was committed, in ISO 8601.",
        "CommitUrl": "Page of the commit.",
        "RepositoryName": "Name of the repository.",
    },
)
def bring_from_github(
    owner: str,
    repo: str,
    branch: str,
    oauth_token: str,
    *,
    poll_for_source_changes: bool = True,
    server: str = "https://github.com",
    timeout: Minutes = 10,
    job: Job = Job(),
) -> Outputs:
    """Bring the newest commit of a branch, or the one the execution is pinned to.

    Args:
        owner: Person or organisation that owns the repository.
        repo: Name of the repository.
        branch: Branch whose newest commit is brought.
        oauth_token: Name of a Prefect Secret block that holds the token, or `env:NAME`
            for a variable of the worker; never the token itself.
        poll_for_source_changes: Has no effect: triggers say when to look.
        server: Address of the GitHub server.
        timeout: Minutes until the source counts as not answering.

    Returns:
        One artifact, the tree.

    Raises:
        ActionFailed: Repository, branch, commit or token do not exist or may not be
            read.

    Source: CodePipeline user guide, "GitHub (via OAuth app) source action reference".
    """
    url, access = reached(owner, repo, oauth_token, server)
    found = bring(url, access, branch, "CODE_ZIP", job, timeout=timeout)
    commit_url = f"{url.removesuffix('.git')}/commit/{found.commit}"
    return Outputs(
        artifacts={"source": found.tree},
        variables={
            "AuthorDate": found.author_date,
            "BranchName": branch,
            "CommitId": found.commit,
            "CommitMessage": found.message,
            "CommitterDate": found.committer_date,
            "CommitUrl": commit_url,
            "RepositoryName": repo,
        },
        summary=found.summary,
        link=commit_url,
    )


def reached(
    owner: str, repo: str, oauth_token: str, server: str = "https://github.com"
) -> tuple[str, Access]:
    """Where git finds a repository, and what it says there.

    Raises:
        ActionFailed: It has no such name, or the token cannot be had.
    """
    if _REDACTED.fullmatch(oauth_token):
        raise ActionFailed(
            "oauth_token is hidden, as CodePipeline does not give it out",
            hint="save it in a Secret block and name that",
        )
    access = Access.named(oauth_token, username="x-access-token", known_hosts=None)
    name = f"{checked_name('owner', owner)}/{checked_name('repo', repo)}"
    return f"{server.rstrip('/')}/{name}.git", access
