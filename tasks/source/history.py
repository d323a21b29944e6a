"""What lies between two commits, and which branch a commit is on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.engine.approvals import Commit
from prefect_delivery.engine.people import writers
from prefect_delivery.engine.policies import matches
from prefect_delivery.engine.resolve import call_of
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.remote import Remote
from prefect_delivery.tasks.source.repository import Repository

__all__ = ["History", "Source", "commits_between", "is_on_branch", "sources_of"]

SHOWN: Final = 100
"""Commits that are listed; who wrote the others is known all the same."""

_FORMAT = "%H%x00%an <%ae>%x00%cn <%ce>%x00%B%x00"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A git source of an execution, and the commit it brought."""

    action: str
    commit: str
    configuration: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class History:
    """Commits, the newest first, and the keys of all who wrote one."""

    commits: tuple[Commit, ...] = ()
    people: frozenset[str] = frozenset()


def sources_of(execution: Execution) -> Iterator[Source]:
    """The git sources that an execution has brought."""
    for stage, run in execution.stages.items():
        for name, spec in execution.definition.stages[stage].actions.items():
            attempts = run.actions.get(name, ())
            if spec.uses != "source/git" or not attempts:
                continue
            commit = attempts[-1].variables.get("commit")
            if attempts[-1].status is Status.SUCCEEDED and commit:
                given = call_of(execution, stage, name).configuration
                yield Source(action=name, commit=commit, configuration=given)


def commits_between(base: str, source: Source, job: Job) -> History:
    """The commits of a source that `base` does not have.

    Raises:
        ActionFailed: The repository cannot be read, or has `base` no more.
    """
    if base == source.commit:
        return History()
    with _repository(source, job) as repository:
        repository.fetch_history(base, source.commit)
        file = repository.tree.parent / "commits"
        # By file and NUL, as what a commit says can be anything.
        output = ("-z", f"--format={_FORMAT}", f"--output={file}")
        repository.run("log", *output, source.commit, f"^{base}")
        fields = file.read_bytes().decode(errors="replace").split("\0")
    commits, people = list[Commit](), set[str]()
    # With -z, an empty field ends each commit after the last one of the format.
    for start in range(0, len(fields) - 4, 5):
        digits, author, committer, message, _ = fields[start : start + 5]
        people |= set(writers(author, committer, message))
        subject = message.strip().partition("\n")[0][:100]
        if len(commits) < SHOWN:
            commits.append(
                Commit(
                    commit=digits.strip(),
                    author=author[:200],
                    committer=committer[:200],
                    message=subject,
                )
            )
    return History(commits=tuple(commits), people=frozenset(people))


def is_on_branch(source: Source, patterns: list[str], job: Job) -> bool:
    """Whether a source's commit is on a branch that one of `patterns` names.

    Raises:
        ActionFailed: The repository cannot be read.
    """
    with _repository(source, job) as repository:
        meant = {
            name: commit
            for name, commit in repository.branches().items()
            if matches(name, patterns)
        }
        if source.commit in meant.values():
            return True
        if not meant:
            return False
        repository.fetch_history(*meant.values())
        return any(_contains(repository, tip, source) for tip in meant.values())


def _contains(repository: Repository, tip: str, source: Source) -> bool:
    try:
        repository.run("merge-base", "--is-ancestor", source.commit, tip)
    except ActionFailed:
        return False
    return True


@contextmanager
def _repository(source: Source, job: Job) -> Iterator[Repository]:
    given: Mapping[str, Any] = source.configuration
    access = Access.named(
        given.get("credentials"),
        username=given.get("username", "x-access-token"),
        known_hosts=given.get("known_hosts"),
    )
    timeout = float(given.get("timeout", 10))
    with job.workspace() as folder:
        remote = Remote.parse(given["url"])
        yield Repository(remote, access, folder, job, timeout=timeout)
