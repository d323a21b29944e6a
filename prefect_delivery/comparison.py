"""What differs between two executions of a pipeline."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.artifacts import ArtifactStore, open_store
from prefect_delivery.artifacts.manifest import Entry, Folder
from prefect_delivery.engine.approvals import Commit
from prefect_delivery.engine.conditions import is_rule
from prefect_delivery.engine.resolve import artifacts_of
from prefect_delivery.engine.state import ArtifactRef, Execution
from prefect_delivery.errors import ArtifactError
from prefect_delivery.ledger import Ledger
from prefect_delivery.precedence import origin_of
from prefect_delivery.settings import settings
from prefect_delivery.tasks.source.history import Source, commits_between, sources_of
from prefect_delivery.timing import Spent, timing_of


@dataclass(frozen=True, kw_only=True)
class SourceChange:
    """What a source brought before and after.

    Attributes:
        added: Commits that only the later one has, the newest first.
        removed: Commits that only the earlier one has.
        unknown: Why the commits are not known, where they are not.
    """

    action: str
    before: str | None
    after: str | None
    added: tuple[Commit, ...] = ()
    removed: tuple[Commit, ...] = ()
    unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class ArtifactChange:
    """An artifact of one name, before and after.

    Attributes:
        added: Paths of files that only the later one has.
        changed: Paths of files that both have and that differ.
        removed: Paths of files that only the earlier one has.
        unknown: Why the files are not known, where they are not.
    """

    name: str
    before: ArtifactRef | None
    after: ArtifactRef | None
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReportChange:
    """A report of one action and name, before and after.

    Attributes:
        broken: Tests that fail now and did not before.
        mended: Tests that failed before and do not now.
    """

    title: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    broken: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two executions side by side.

    Attributes:
        variables: Values before and after, of those that differ.
        stages: Where the time of each stage went, before and after.
        artifacts: Those that differ.
    """

    before: Execution
    after: Execution
    sources: list[SourceChange]
    variables: dict[str, tuple[str | None, str | None]]
    artifacts: list[ArtifactChange]
    stages: dict[str, tuple[Spent | None, Spent | None]]
    reports: list[ReportChange]


def compare(
    ledger: Ledger, before: Execution, after: Execution, now: datetime
) -> Comparison:
    """Compare two executions; commits and files as far as they can be read now."""
    store = open_store()
    old, new = artifacts_of(before), artifacts_of(after)
    times = [
        timing_of(execution, ledger.waits.list(execution.id), now).stages
        for execution in (before, after)
    ]
    return Comparison(
        before=before,
        after=after,
        sources=[*_sources(origin_of(ledger, before), origin_of(ledger, after))],
        variables={
            name: values
            for name in _names(before.variables, after.variables)
            if (values := (before.variables.get(name), after.variables.get(name)))
            and values[0] != values[1]
        },
        artifacts=[
            _artifact(store, name, old.get(name), new.get(name))
            for name in _names(old, new)
            if old.get(name) != new.get(name)
        ],
        stages={
            name: (times[0].get(name), times[1].get(name)) for name in _names(*times)
        },
        reports=[*_report_changes(_reports(before), _reports(after))],
    )


def _names(*of: Iterable[str]) -> list[str]:
    """All names, each once, in the order of their first place."""
    return [*dict.fromkeys(name for names in of for name in names)]


def _sources(before: Execution, after: Execution) -> Iterator[SourceChange]:
    old = {source.action: source for source in sources_of(before)}
    new = {source.action: source for source in sources_of(after)}
    for name in _names(before.revisions, after.revisions):
        was, now = before.revisions.get(name), after.revisions.get(name)
        if was != now:
            yield _source(name, was, now, old.get(name), new.get(name))


def _source(
    name: str, was: str | None, now: str | None, old: Source | None, new: Source | None
) -> SourceChange:
    if old is None or new is None:
        why = "there are no two git commits"
        return SourceChange(action=name, before=was, after=now, unknown=why)
    job = Job(log=lambda _: None, workspaces=settings().workspaces)
    try:
        added = commits_between(old.commit, new, job).commits
        removed = commits_between(new.commit, old, job).commits
    except ActionFailed as failure:
        return SourceChange(action=name, before=was, after=now, unknown=failure.message)
    return SourceChange(
        action=name, before=was, after=now, added=added, removed=removed
    )


def _artifact(
    store: ArtifactStore,
    name: str,
    before: ArtifactRef | None,
    after: ArtifactRef | None,
) -> ArtifactChange:
    try:
        old, new = _files(store, before), _files(store, after)
    except ArtifactError as error:
        return ArtifactChange(
            name=name, before=before, after=after, unknown=error.message
        )
    return ArtifactChange(
        name=name,
        before=before,
        after=after,
        added=tuple(path for path in new if path not in old),
        changed=tuple(p for p in new if p in old and old[p] != new[p]),
        removed=tuple(path for path in old if path not in new),
    )


def _files(store: ArtifactStore, ref: ArtifactRef | None) -> dict[str, Entry]:
    """The files and links of an artifact, by path."""
    if ref is None:
        return {}
    return {
        entry.path: entry
        for entry in store.entries(ref.digest)
        if not isinstance(entry, Folder)
    }


def _reports(execution: Execution) -> dict[str, dict[str, Any]]:
    """Reports of the attempts that counted last, by what they are called."""
    return {
        f"{stage} / {action}: {report['name']}": report
        for stage, run in execution.stages.items()
        for action, attempts in run.actions.items()
        if attempts and not is_rule(action)
        for report in attempts[-1].reports
    }


def _report_changes(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> Iterator[ReportChange]:
    for title in _names(old, new):
        before, after = old.get(title), new.get(title)
        yield ReportChange(
            title=title,
            before=before,
            after=after,
            broken=_only_in(after, before),
            mended=_only_in(before, after),
        )


def _only_in(
    report: dict[str, Any] | None, other: dict[str, Any] | None
) -> tuple[str, ...]:
    """Tests that failed in a report and not in the other, where that can be told."""
    # A report lists only so many of its failures.
    if report is None or other is None or other["failed"] > len(other["failures"]):
        return ()
    known = {failure["name"] for failure in other["failures"]}
    return tuple(f["name"] for f in report["failures"] if f["name"] not in known)
