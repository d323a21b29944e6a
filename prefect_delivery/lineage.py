"""Which of two commits is newer, and what files differ: asks the repository itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect_delivery.actions import Job
from prefect_delivery.changes import BRANCH, Change
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.remote import Remote
from prefect_delivery.tasks.source.repository import Repository
from prefect_delivery.trigger_filters import WatchedSource

MINUTES = 2.0
"""That one question to a repository may take."""


def why_not_newer(source: WatchedSource, change: Change, newest: str) -> str | None:
    """Why a change is not newer than the newest that was started; None when it is.

    What descends from it is newer, and what it descends from is older. Where neither is
    so, the ref was overwritten: then what it has now decides.

    Raises:
        ActionFailed: The repository cannot be read.
    """
    if change.revision == newest:
        return None
    with repository_of(source) as repository:
        if not _brought(repository, change.revision):
            return f"commit {change.revision} is gone"
        known = _brought(repository, newest)
        if known and _is_ancestor(repository, newest, change.revision):
            return None
        if known and _is_ancestor(repository, change.revision, newest):
            return f"older than {newest}, which came before it"
        if not change.ref.startswith(BRANCH):
            return None  # of a pull request or a tag, the last word counts
        name = change.ref.removeprefix(BRANCH)
        tip = repository.branches().get(name)
        if tip is None:
            return f"branch {name} is gone"
        if tip != change.revision and not (
            _brought(repository, tip) and _is_ancestor(repository, change.revision, tip)
        ):
            return f"no longer on branch {name}, which was overwritten"
    return None


def changed_files(source: WatchedSource, before: str, revision: str) -> list[str]:
    """The files that differ between two commits.

    Raises:
        ActionFailed: The repository cannot be read, or has one of them no more.
    """
    with repository_of(source) as repository:
        for commit in (before, revision):
            repository.fetch(commit, depth=1)
        listed = repository.tree.parent / "files"
        repository.run(
            *("diff", "--name-only", "--no-renames", "-z", f"--output={listed}"),
            *(before, revision, "--"),
        )
        names = listed.read_bytes().decode(errors="surrogateescape").split("\0")
    return [name for name in names if name]


def file_at(source: WatchedSource, revision: str, file: str) -> str | None:
    """The text of a file in a commit; None when it is not there, or not a file.

    Raises:
        ActionFailed: The repository cannot be read.
    """
    with repository_of(source) as repository:
        repository.fetch(revision, depth=1)
        repository.checkout(revision)
        path = repository.tree / file
        inside = path.resolve().is_relative_to(repository.tree.resolve())
        if not inside or path.is_symlink() or not path.is_file():
            return None
        return path.read_text(errors="replace")


@contextmanager
def repository_of(
    source: WatchedSource, minutes: float = MINUTES
) -> Iterator[Repository]:
    """The repository of a source's configuration, in a folder for a moment."""
    url, access = _reached(source.uses, source.with_)
    with TemporaryDirectory(prefix="delivery-") as folder:
        remote = Remote.parse(url)
        yield Repository(remote, access, Path(folder), Job(), timeout=minutes)


def _reached(uses: str, found: dict[str, Any]) -> tuple[str, Access]:
    """Where git finds a source's repository, and what it says there."""
    reached: Callable[..., tuple[str, Access]]
    match uses:
        case "source/git":
            access = Access.named(
                found.get("credentials"),
                username=found.get("username", "x-access-token"),
                known_hosts=found.get("known_hosts"),
            )
            return found["url"], access
        case "source/github":
            from prefect_delivery.tasks.source import github

            reached = github.reached
        case "source/codecommit":
            from prefect_delivery.tasks.source import codecommit

            reached = codecommit.reached
        case "source/connection":
            from prefect_delivery.tasks.source import connection

            reached = connection.reached
        case _:
            raise ActionFailed(f"{uses} has no repository")
    parameters = signature(reached).parameters
    return reached(**{name: found[name] for name in parameters if name in found})


def _brought(repository: Repository, commit: str) -> bool:
    try:
        repository.fetch_history(commit)
    except ActionFailed:
        # Gone, or unreadable as a whole: then asking for the branches says so.
        repository.branches()
        return False
    return True


def _is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    try:
        repository.run("merge-base", "--is-ancestor", older, newer)
    except ActionFailed:
        return False
    return True
