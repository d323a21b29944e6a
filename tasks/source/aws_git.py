"""Git repositories behind AWS: the commit of a branch, by a signed password.

Sources: AWS Signature Version 4; `aws codecommit credential-helper`, which signs for
CodeCommit and for CodeConnections alike.
"""

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # no py.typed
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.blocks.aws_session import AwsSession
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.remote import Remote
from prefect_delivery.tasks.source.repository import Repository

Format = Literal["CODE_ZIP", "CODEBUILD_CLONE_REF"]
MESSAGE_LIMIT: Final = 10_000
_NAME: Final = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
_FORMAT: Final = "%H%x00%aI%x00%cI%x00%B"


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A commit, and the tree of its files."""

    tree: Artifact
    commit: str
    author_date: str
    committer_date: str
    message: str

    @property
    def summary(self) -> str:
        return f"{self.commit[:7]} {self.message.partition(chr(10))[0][:100]}"


def bring(
    url: str, access: Access, branch: str, shape: Format, job: Job, *, timeout: float
) -> Brought:
    """Fetch what the action is pinned to, or the newest commit of a branch.

    Args:
        shape: With `CODEBUILD_CLONE_REF` the tree keeps `.git` and all of its history,
            where CodePipeline hands on a reference that only CodeBuild can resolve.

    Raises:
        ActionFailed: There is no such branch or repository, or it may not be read.
    """
    with job.workspace() as folder:
        repository = Repository(Remote.parse(url), access, folder, job, timeout=timeout)
        commit = job.revision or repository.tip(branch=branch).commit
        if len(commit) not in {40, 64}:
            commit = repository.expand(commit)
        keeps = shape == "CODEBUILD_CLONE_REF"
        repository.fetch(commit, depth=0 if keeps else 1, tags=keeps)
        repository.checkout(commit)
        # By file, as `run` shows control characters otherwise than they are.
        told = folder / "told"
        told_to = f"--output={told}"
        repository.run("log", "-1", f"--format={_FORMAT}", told_to, commit)
        full, written, committed, message = (
            told.read_bytes().decode(errors="replace").split("\0", 3)
        )
        if not keeps:
            shutil.rmtree(repository.tree / ".git")
        return Brought(
            tree=Artifact.of(repository.tree),
            commit=full,
            author_date=written,
            committer_date=committed,
            message=message.strip()[:MESSAGE_LIMIT],
        )


def signed(aws: AwsSession, url: str) -> Access:
    """Name and password for a git server of AWS; good for 15 minutes.

    Raises:
        ActionFailed: The worker has no credentials for AWS.
    """
    keys = aws.frozen_credentials()
    parts = urlsplit(url)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    request = AWSRequest(method="GIT", url=url)
    request.context["timestamp"] = stamp
    signer = SigV4Auth(keys, "codecommit", aws.region)
    canonical = f"GIT\n{parts.path}\n\nhost:{parts.netloc}\n\nhost\n"
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    name = f"{keys.access_key}%{keys.token}" if keys.token else keys.access_key
    return Access(secret=f"{stamp}Z{signature}", username=name)


def checked_name(key: str, name: str) -> str:
    """A repository's name, which becomes a part of an address.

    Raises:
        ActionFailed: It has parts or characters that would lead elsewhere.
    """
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ActionFailed(f"{key}: {name!r} is not the name of a repository")
    return name
