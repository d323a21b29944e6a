"""Bring a commit from a git repository."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect_delivery.actions import Address, Artifact, Job, Minutes, Outputs, action
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.remote import Remote
from prefect_delivery.tasks.source.repository import Repository, Tip

__all__ = ["checkout", "resolve"]

# Together they stay under what CodePipeline allows the variables of one action.
_MESSAGE_LIMIT = 10_000
_CHANGED_LIMIT = 100_000
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_FULL = (40, 64)  # SHA-1, SHA-256
_FORMAT = "%H%x00%an <%ae>%x00%aI%x00%cn <%ce>%x00%cI%x00%B%x00"


@action(
    "source/git",
    variables={
        "commit": "Full digits of the commit.",
        "short": "Its first seven digits.",
        "branch": "Branch it was found by; empty when found by tag.",
        "tag": "Tag it was found by, if any.",
        "message": "Commit message, at most 10 KB.",
        "author": "Author, as `Name <address>`.",
        "author_date": "When it was written, in ISO 8601.",
        "committer": "Committer, as `Name <address>`.",
        "committer_date": "When it was committed, in ISO 8601.",
        "changed": "Files that differ from the first parent, one a line, at most 100 KB.",
    },
)
def checkout(
    url: Address,
    *,
    branch: str | None = None,
    tag: str | None = None,
    commit: str | None = None,
    depth: int | None = 1,
    history: bool = False,
    submodules: bool = False,
    lfs: bool = False,
    credentials: str | None = None,
    username: str = "x-access-token",
    known_hosts: str | None = None,
    timeout: Minutes = 10,
    job: Job = Job(),
) -> Outputs:
    """Bring the files of a commit: a given one, or the newest of a branch or tag.

    Nothing of the repository is executed: no hooks, no filters, no configuration.

    Args:
        url: An https, http or ssh URL, `user@host:path`, or a folder of this machine,
            of which only what is committed counts. One that starts with a dot is
            relative to the definition's file.
        branch: Without branch, tag and commit, the remote's default branch.
        tag: Lightweight or annotated.
        commit: Its digits, also of another branch than `branch`. With fewer than all 40
            the whole history is looked through.
        depth: Commits of history to keep; 0 for all. Matters only with `history`.
        history: Keep `.git`, as tools need that read the version from it. The artifact
            then has another digest each time.
        submodules: Bring them too, from servers that need no other credentials.
        lfs: Replace the pointers of Git LFS by their files; needs git-lfs.
        credentials: Name of a Prefect Secret block, or `env:NAME` for a variable of the
            worker. Holds a token for http(s), a private key for ssh.
        username: Goes with the token; most servers accept any.
        known_hosts: Host keys for ssh, as in a known_hosts file. By default those that
            the worker's user has; an unknown host is refused.
        timeout: Minutes until the source counts as not answering.

    Returns:
        One artifact, the tree.

    Raises:
        ActionFailed: The address, branch, tag or commit does not exist or may not be
            read, or the answer took too long.

    Source: git-fetch(1), git-config(1); CodePipeline's Git source actions (variables).
    """
    remote = Remote.parse(url)
    access = Access.named(credentials, username=username, known_hosts=known_hosts)
    with job.workspace() as workspace:
        repository = Repository(remote, access, workspace, job, timeout=timeout)
        tip = _find(repository, branch, tag, job.revision or commit)
        job.log(f"fetching {tip.commit} from {remote.url}")
        _bring(repository, tip, depth=depth or 0, history=history, lfs=lfs)
        if submodules:
            repository.update_submodules()
        if remote.transport == "file":
            _note_uncommitted(repository, Path(remote.url), job)
        described = _describe(repository, workspace / "described", tip.commit)
        if not history:
            _remove_git(repository.tree)
        tree = Artifact.of(repository.tree)
    variables = {**described.variables, "branch": tip.branch, "tag": tag or ""}
    return Outputs(
        artifacts={"source": tree}, variables=variables, summary=described.summary
    )


def resolve(
    url: str,
    *,
    branch: str | None = None,
    tag: str | None = None,
    credentials: str | None = None,
    username: str = "x-access-token",
    known_hosts: str | None = None,
    timeout: float = 1,
) -> str:
    """The commit that a branch, a tag or the default branch has now; fetches nothing.

    Args:
        timeout: Minutes; the rest is as in `checkout`.

    Raises:
        ActionFailed: As in `checkout`.
    """
    access = Access.named(credentials, username=username, known_hosts=known_hosts)
    with TemporaryDirectory(prefix="delivery-") as name:
        repository = Repository(
            Remote.parse(url), access, Path(name), Job(), timeout=timeout
        )
        return _find(repository, branch, tag, None).commit


def _find(
    repository: Repository, branch: str | None, tag: str | None, commit: str | None
) -> Tip:
    if branch is not None and tag is not None:
        raise ActionFailed("a branch and a tag are given; name one of them")
    if commit is None:
        return repository.tip(branch=branch, tag=tag)
    if not _COMMIT.fullmatch(commit):
        raise ActionFailed(
            f"{commit!r} is not a commit",
            hint="give its digits, as `git log` shows them",
        )
    if len(commit) not in _FULL:
        commit = repository.expand(commit)
    if branch is None and tag is None:
        branch = repository.default_branch()
    return Tip(commit=commit, branch=branch or "")


def _bring(
    repository: Repository, tip: Tip, *, depth: int, history: bool, lfs: bool
) -> None:
    if not history:
        depth = 1
    # The parent is needed to tell which files changed.
    repository.fetch(
        tip.commit, depth=depth and max(depth, 2), tags=history and not depth
    )
    repository.checkout(tip.commit, lfs=lfs)


def _note_uncommitted(repository: Repository, folder: Path, job: Job) -> None:
    # With our own git folder, the configuration of theirs is not read.
    if not (folder / ".git").exists():
        return
    differing = repository.run(
        *("--git-dir=.git", f"--work-tree={folder}"),
        *("status", "--porcelain", "--ignore-submodules=all"),
    )
    if differing:
        names = ", ".join(line[3:] for line in differing[:5])
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        job.log(f"what is not committed is left out: {names}{more}")


@dataclass(frozen=True)
class _Described:
    variables: dict[str, str]
    summary: str


def _describe(repository: Repository, file: Path, commit: str) -> _Described:
    # By file and NUL: what a commit says can then not be mistaken for anything else.
    repository.run(
        *("log", "-1", "--first-parent", "-m", "--root", "--name-only", "--no-renames"),
        *("-z", f"--format={_FORMAT}", f"--output={file}", commit),
    )
    text = file.read_bytes().decode(errors="replace")
    full, author, written, committer, committed, message, names = text.split("\0", 6)
    message = message.strip()
    variables = {
        "commit": full,
        "short": full[:7],
        "message": message[:_MESSAGE_LIMIT],
        "author": author[:1000],
        "author_date": written,
        "committer": committer[:1000],
        "committer_date": committed,
        "changed": _changed(names.removeprefix("\0\n")),
    }
    return _Described(variables, f"{full[:7]} {message.partition(chr(10))[0][:100]}")


def _changed(names: str) -> str:
    shown = [name.replace("\n", r"\n") for name in names.split("\0") if name]
    text = "\n".join(shown)
    if len(text.encode()) <= _CHANGED_LIMIT:
        return text
    cut = text.encode()[:_CHANGED_LIMIT].decode(errors="ignore")
    return cut.rpartition("\n")[0]


def _remove_git(tree: Path) -> None:
    shutil.rmtree(tree / ".git")
    for pointer in [*tree.rglob(".git")]:  # submodules have a file of that name
        pointer.unlink()
