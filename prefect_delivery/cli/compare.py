"""The command `compare`: what differs between two executions."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import Parameter

from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.differences import differences
from prefect_delivery.cli.story import artifact_title, report_title, size
from prefect_delivery.cli.story_data import spent_data
from prefect_delivery.cli.target import parse_target
from prefect_delivery.cli.terminal import Format, one_line, write, write_json
from prefect_delivery.cli.views import short
from prefect_delivery.comparison import (
    ArtifactChange,
    Comparison,
    ReportChange,
    SourceChange,
)
from prefect_delivery.engine.approvals import Commit
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.stages import span
from prefect_delivery.timing import Spent

SHOWN: Final = 20
"""Files and commits of a kind that are listed; JSON has all."""


def compare(
    *executions: Annotated[str, Parameter(required=True)],
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Show what differs between two executions.

    Commits are read from the repository where it can be reached; files from the artifact
    store while it has them.

    For example:

        deliver compare shop 41 42
        deliver compare shop 41 42 -o json

    Args:
        executions: PIPELINE and two numbers; the pipeline may be left out where there is
            one.
        output: `json` for programs.
    """
    from prefect_delivery import comparison

    ledger = Ledger.open()
    target = parse_target(executions, ledger.executions.pipelines())
    if target.number is None or len(target.rest) != 1 or not target.rest[0].isdecimal():
        raise Refused("name two executions", hint="deliver compare PIPELINE 41 42")
    before, after = (
        ledger.executions.find(target.pipeline, number)
        for number in (target.number, int(target.rest[0]))
    )
    found = comparison.compare(ledger, before, after, datetime.now(UTC))
    if output == "json":
        write_json(comparison_data(found))
        return OK
    for line in comparison_lines(found):
        write(line)
    return OK


def comparison_data(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON data. Keys are added, never renamed."""
    return {
        "pipeline": found.before.pipeline,
        "before": _execution(found, 0),
        "after": _execution(found, 1),
        "sources": [asdict(source) for source in found.sources],
        "definition": _definition(found),
        "variables": {
            name: {"before": before, "after": after}
            for name, (before, after) in found.variables.items()
        },
        "artifacts": [asdict(artifact) for artifact in found.artifacts],
        "stages": {
            name: {
                "before": spent_data(before) if before else None,
                "after": spent_data(after) if after else None,
            }
            for name, (before, after) in found.stages.items()
        },
        "reports": [asdict(report) for report in found.reports],
    }


def _execution(found: Comparison, which: int) -> dict[str, Any]:
    execution = (found.before, found.after)[which]
    return {
        "number": execution.number,
        "status": execution.status.value,
        "definition": execution.definition.digest,
    }


def _definition(found: Comparison) -> list[str]:
    return differences(
        found.before.definition.snapshot(), found.after.definition.snapshot()
    )


def comparison_lines(found: Comparison) -> Iterator[str]:
    """A comparison part by part; parts without a difference say so in a word."""
    before, after = found.before, found.after
    yield f"{before.title} → {after.title}: {before.status} → {after.status}"
    for source in found.sources:
        yield from _source(source)
    if not found.sources:
        yield "sources: the same"
    yield from _part("definition", _definition(found))
    yield from _part(
        "variables",
        [f"~ {n}: {_value(a)} → {_value(b)}" for n, (a, b) in found.variables.items()],
    )
    yield from _part(
        "artifacts", [line for a in found.artifacts for line in _artifact(a)]
    )
    stages = found.stages.items()
    yield from _part("time", [f"{n}: {_times(a, b)}" for n, (a, b) in stages])
    yield from _part("reports", [line for r in found.reports for line in _report(r)])


def _part(title: str, lines: list[str]) -> Iterator[str]:
    yield title if lines else f"{title}: the same"
    for line in lines:
        yield f"  {'  ' if line.startswith('  ') else ''}{one_line(line)}"


def _source(source: SourceChange) -> Iterator[str]:
    was, now = short(source.before or "nothing"), short(source.after or "nothing")
    yield one_line(f"source {source.action}: {was} → {now}")
    if source.unknown:
        yield f"  {one_line(f'its commits are not known: {source.unknown}')}"
    for sign, commits in (("+", source.added), ("-", source.removed)):
        lines = [_commit(sign, commit) for commit in commits]
        yield from (f"  {one_line(line)}" for line in _few(lines))


def _commit(sign: str, commit: Commit) -> str:
    author = commit.author.partition(" <")[0]
    return f"{sign} {short(commit.commit)} {commit.message} ({author})"


def _artifact(change: ArtifactChange) -> Iterator[str]:
    was = artifact_title(change.before) if change.before else "nothing"
    now = artifact_title(change.after) if change.after else "nothing"
    grown = ""
    if change.before and change.after:
        more = change.after.size - change.before.size
        grown = f", {'+' if more >= 0 else ''}{size(more)}"
    yield f"{change.name}: {was} → {now}{grown}"
    if change.unknown:
        yield f"  its files are not known: {change.unknown}"
    if change.before and change.after:
        for sign, paths in (
            ("+", change.added),
            ("~", change.changed),
            ("-", change.removed),
        ):
            yield from _few([f"  {sign} {path}" for path in paths])


def _times(before: Spent | None, after: Spent | None) -> str:
    if before is None or after is None:
        return f"{_total(before)} → {_total(after)}"
    more = after.total - before.total
    grown = f" ({'+' if more > 0 else '-'}{span(abs(more))})" if abs(more) >= 1 else ""
    return f"{_total(before)} → {_total(after)}{grown}"


def _total(spent: Spent | None) -> str:
    if spent is None:
        return "not reached"
    waited = spent.total - spent.running
    return span(spent.total) + (
        f", {span(waited)} of it waiting" if waited >= 1 else ""
    )


def _report(change: ReportChange) -> Iterator[str]:
    sides = [
        report_title(report).partition(": ")[2] if report else "no report"
        for report in (change.before, change.after)
    ]
    yield f"{change.title}: {' → '.join(sides)}"
    yield from _few([f"  fails now: {name}" for name in change.broken])
    yield from _few([f"  passes again: {name}" for name in change.mended])


def _few(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"  and {more} more"] if more > 0 else lines


def _value(value: str | None) -> str:
    return "not set" if value is None else value
