"""A story as a person reads it: pure functions to lines."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from prefect_delivery.cli.terminal import one_line
from prefect_delivery.cli.views import release_title, short
from prefect_delivery.engine.approvals import Asked
from prefect_delivery.engine.conditions import rules_of, shown
from prefect_delivery.engine.state import ActionRun, ArtifactRef
from prefect_delivery.ledger import Rollout, Step
from prefect_delivery.ledger.outbox import GIVEN_UP
from prefect_delivery.stages import lasted, mark, span
from prefect_delivery.story import Story
from prefect_delivery.timing import MEANING, RUNNING, Spent

_BY_PEOPLE: Final = {
    "start execution": "started it",
    "request stop": "asked to stop it",
    "reopen": "retried",
    "override condition": "overrode",
    "refuse": "was refused",
    "supersede": "superseded",
}
"""Audit entries that tell what people did; `deliver audit list` has the others."""
_WORTH_A_WORD: Final = 0.5
"""Seconds; shorter waits are those of the loop itself."""


def story_lines(story: Story, now: datetime) -> Iterator[str]:
    """An execution as a whole, part by part."""
    yield from _facts(story)
    for name in story.execution.only or story.execution.definition.stages:
        yield from _stage(story, name, now)
    yield from _part("rollouts", _rollouts(story))
    yield from _part("time", _time(story))
    yield from _part("notifications", _untold(story))
    yield from _part("who did what", _deeds(story))


def _part(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = [f"  {one_line(line)}" for line in lines]
    if found:
        yield title
        yield from found


def _facts(story: Story) -> Iterator[str]:
    execution = story.execution
    ended = f" until {_when(execution.ended)}" if execution.ended else ""
    yield f"  from        {_when(execution.started)}{ended}"
    if story.other and execution.carried:
        purpose = execution.carried.purpose
        there = execution.carried.environment
        where = f", from {there}" if there else ""
        older = ", which may replace a newer one" if execution.carried.older else ""
        yield f"  {purpose:<12}of {story.other.title}{where}{older}"
    yield f"  definition  {short(execution.definition.digest)}"
    for title, values in (
        ("variables", execution.variables),
        ("revisions", execution.revisions),
    ):
        shown_values = ", ".join(f"{key}={value}" for key, value in values.items())
        if shown_values:
            yield f"  {title:<12}{one_line(shown_values)}"


def _stage(story: Story, name: str, now: datetime) -> Iterator[str]:
    execution = story.execution
    run = execution.stages.get(name)
    if run is None:
        yield f"{mark(None)} {name}  not reached"
        return
    spent = story.timing.stages.get(name)
    took = f"  {_spent(spent)}" if spent else ""
    yield one_line(f"{mark(run.status)} {name}") + took
    if run.reason:
        yield f"    {one_line(run.reason)}"
    for wait in story.waits:
        if wait.stage == name:
            seconds = lasted(wait.since, wait.until, now) or 0
            said = f"waited {span(seconds)} ({wait.kind}): {wait.reason}"
            yield f"    {one_line(said)}"
    for condition, who in run.overridden.items():
        yield f"    {one_line(f'{condition} overridden by {who}')}"
    stage = execution.definition.stages[name]
    first = rules_of(stage, "before_entry")
    names = [*first, *stage.actions, *rules_of(stage, "on_success", "on_failure")]
    for action in names:
        for attempt in run.actions.get(action, ()):
            yield from _attempt(story, name, action, attempt, now)


def _attempt(
    story: Story, stage: str, action: str, run: ActionRun, now: datetime
) -> Iterator[str]:
    again = f" attempt {run.attempt}" if run.attempt > 1 else ""
    took = span(lasted(run.started, run.ended, now) or 0)
    note = run.error or run.summary or ""
    said = f"{mark(run.status)} {shown(action)}{again}  {took}  {note}"
    yield f"    {one_line(said)}"
    asked = Asked.of(run).message
    if asked and asked != run.summary:
        yield f"        {one_line(f'asked: {asked}')}"
    if run.link:
        yield f"        {one_line(f'see {run.link}')}"
    for name, ref in run.artifacts.items():
        yield f"        artifact {one_line(name)} {artifact_title(ref)}"
    for report in run.reports:
        yield f"        {one_line(report_title(report))}"
    for vote in story.votes.get((stage, action, run.attempt), ()):
        done = "approved" if vote.approved else "rejected"
        why = f": {vote.comment}" if vote.comment else ""
        yield f"        {one_line(f'{vote.person} {done} {_when(vote.when)}{why}')}"


def _rollouts(story: Story) -> Iterator[str]:
    for rollout in story.rollouts:
        release = release_title(story.releases[rollout.release])
        before = release_title(story.releases.get(rollout.previous or ""))
        yield (
            f"{rollout.environment}: {rollout.kind} to {release}, before {before}:"
            f" {rollout.status}" + (f", {rollout.reason}" if rollout.reason else "")
        )
        yield from _journal(rollout)


def _journal(rollout: Rollout) -> Iterator[str]:
    steps = [_step(step) for step in rollout.steps]
    if steps:
        yield f"journal: {' → '.join(steps)}"


def _step(step: Step) -> str:
    done = step.outcome or "no outcome"
    return step.verb if done == "done" else f"{step.verb} ({done})"


def _time(story: Story) -> Iterator[str]:
    whole = story.timing.whole
    yield _spent(whole)
    between = whole.total - sum(whole.by_kind.values())
    yield f"between actions {span(between)}"
    path = [
        f"{leg.title} {span(leg.seconds)}"
        + ("" if leg.kind == RUNNING else f" ({MEANING[leg.kind]})")
        for leg in story.timing.critical
        if leg.kind == RUNNING or leg.seconds >= _WORTH_A_WORD
    ]
    if path:
        yield f"critical path: {' → '.join(path)}"


def _spent(spent: Spent) -> str:
    parts = [
        f"{MEANING[kind]} {span(seconds)}"
        for kind, seconds in spent.by_kind.items()
        if kind == RUNNING or seconds >= _WORTH_A_WORD
    ]
    return f"{span(spent.total)}: {', '.join(parts)}" if parts else span(spent.total)


def _untold(story: Story) -> Iterator[str]:
    """Who could not be told, and of what they are never told."""
    for place in story.untold:
        since = f" since {_when(place.since)}" if place.since else ""
        yield f"{place.name} could not be told{since}: {place.error}"
    for entry in story.entries:
        if entry.verb == GIVEN_UP:
            detail = entry.detail
            yield f"{_when(entry.at)}  {detail['to']} was not told: {detail['reason']}"


def _deeds(story: Story) -> Iterator[str]:
    title = story.execution.title
    for entry in story.entries:
        if entry.verb not in _BY_PEOPLE:
            continue
        where = entry.subject.removeprefix(title).strip(" /")
        what = entry.detail.get("condition") or entry.detail.get("wish") or ""
        reason = entry.detail.get("reason") or ""
        words = [_BY_PEOPLE[entry.verb], str(what), f"in {where}" if where else ""]
        said = " ".join(word for word in words if word)
        yield f"{_when(entry.at)}  {entry.actor} {said}" + (
            f": {reason}" if reason else ""
        )


def artifact_title(ref: ArtifactRef) -> str:
    """An artifact's digest and size, such as `3c1f0aa2d1 (12.3 kB)`."""
    return f"{short(ref.digest)} ({size(ref.size)})"


def size(count: int) -> str:
    """Bytes as people say them: `900 B`, `12.3 kB`, `4.1 MB`."""
    if abs(count) < 1000:
        return f"{count} B"
    value, units = count / 1000, ["kB", "MB", "GB"]
    while abs(value) >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.1f} {units[0]}"


def report_title(report: dict[str, Any]) -> str:
    """A report in a line, such as `tests report.xml: 410 passed, 2 failed`."""
    if report.get("coverage") is not None:
        return f"coverage {report['name']}: {report['coverage']:.1f}%"
    counts = [
        f"{report[key]} {key}"
        for key in ("passed", "failed", "skipped")
        if report.get(key) or key == "passed"
    ]
    return f"{report['kind']} {report['name']}: {', '.join(counts)}"


def _when(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
