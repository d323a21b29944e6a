"""Executions as a person reads them: pure functions to text and tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from prefect_delivery.cli.terminal import one_line
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.ledger import EnvironmentState, Quarantined, Release
from prefect_delivery.stages import (
    ActionView,
    StageView,
    lasted,
    mark,
    span,
    stage_views,
)

_STYLES: dict[Status, str] = {
    Status.IN_PROGRESS: "blue",
    Status.STOPPING: "blue",
    Status.WAITING: "yellow",
    Status.SUCCEEDED: "green",
    Status.FAILED: "red",
}


def headline(execution: Execution, now: datetime) -> Text:
    """One line on an execution as a whole."""
    parts = [
        execution.title,
        execution.status.value,
        span(lasted(execution.started, execution.ended, now) or 0),
        execution.trigger
        + (f" by {one_line(execution.started_by)}" if execution.started_by else ""),
    ]
    if execution.reason:
        parts.append(one_line(execution.reason))
    return Text(" · ".join(parts), style="bold", no_wrap=True, overflow="ellipsis")


def tree(
    execution: Execution, now: datetime, lines: Mapping[str, str] | None = None
) -> Table:
    """The stages and actions of an execution, a row for each action.

    Args:
        lines: The line that each running action logged last, by `Stage / action`.
    """
    table = _grid()
    for stage in stage_views(execution, now):
        for number, action in enumerate(stage.actions):
            last = (lines or {}).get(f"{stage.name} / {action.name}", "")
            _add_row(table, stage if number == 0 else None, action, last)
    return table


def changes(before: Execution | None, after: Execution, now: datetime) -> list[str]:
    """What has happened to actions between two looks, a clean line each."""
    clock = f"[{span(lasted(after.started, None, now) or 0):>7}]"
    old = _standing(stage_views(before, now)) if before else {}
    known = _held(before) if before else {}
    held = [
        f"{clock} {mark(Status.WAITING)} {stage}  waits: {reason}"
        for stage, reason in _held(after).items()
        if known.get(stage) != reason
    ]
    return [
        f"{clock} {mark(action.status)} {name}  {_happened(action)}"
        for name, action in _standing(stage_views(after, now)).items()
        if action.status and not _same(old.get(name), action)
    ] + held


def _held(execution: Execution) -> dict[str, str]:
    """Stages that wait to be entered, and why."""
    return {
        name: one_line(run.reason or "")
        for name, run in execution.stages.items()
        if run.status is Status.WAITING
    }


def overview(executions: Sequence[Execution], now: datetime) -> Table:
    """Executions in a table, a row each, with the marks of their stages."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in range(5):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for execution in executions:
        table.add_row(
            Text(execution.title, style="bold"),
            Text(
                f"{mark(execution.status)} {execution.status}",
                style=_STYLES.get(execution.status, "dim"),
            ),
            stage_marks(execution, now),
            span(lasted(execution.started, execution.ended, now) or 0),
            f"{execution.started.astimezone():%d %b %H:%M}",
            one_line(_why(execution)),
        )
    return table


def release_table(
    releases: Sequence[Release],
    current: str | None,
    kept_out: Mapping[str, Quarantined] = {},
) -> Table:
    """Releases in a table, a row each.

    Args:
        current: Digest of the one that the environment runs.
        kept_out: Those in quarantine, by digest.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(6):
        table.add_column(no_wrap=True)
    for release in releases:
        table.add_row(
            Text("current" if release.digest == current else "", style="green"),
            f"{release.pipeline} #{release.number}",
            short(release.digest),
            f"{release.created.astimezone():%Y-%m-%d %H:%M}",
            one_line(
                ", ".join(f"{k}@{short(v)}" for k, v in release.revisions.items())
            ),
            Text(_why_out(kept_out.get(release.digest)), style="red"),
        )
    return table


def environment_table(
    states: Sequence[EnvironmentState], current: Mapping[str, Release | None]
) -> Table:
    """Environments in a table, a row each.

    Args:
        current: The release that each environment runs, by its name.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(no_wrap=True)
    for state in states:
        note = f"stopped by {one_line(state.stopped)}" if state.stopped else ""
        note = f"locked: {one_line(state.locked)}" if state.locked else note
        table.add_row(
            Text(state.name, style="bold"),
            state.kind,
            release_title(current.get(state.name)),
            Text(note, style="red"),
        )
    return table


def quarantine_line(found: Quarantined, release: Release) -> str:
    """One line on a release that an environment keeps out."""
    return one_line(
        f"✗ {found.environment} keeps out {release_title(release)}: {found.reason}"
        f" (by {found.by}, {found.since.astimezone():%Y-%m-%d %H:%M})"
    )


def _why_out(found: Quarantined | None) -> str:
    return one_line(f"quarantined: {found.reason}") if found else ""


def release_title(release: Release | None) -> str:
    """A release as people name it, such as `shop #42 (3c1f0aa2d1)`."""
    if release is None:
        return "nothing yet"
    if not release.number:
        return short(release.digest)
    return f"{release.pipeline} #{release.number} ({short(release.digest)})"


def short(digest: str) -> str:
    """The first digits of a digest or commit, enough to tell it from others."""
    return one_line(digest.rpartition(":")[2])[:10]


def stage_marks(execution: Execution, now: datetime) -> str:
    """The stages as one string of marks, such as `✓✓Ⅱ`."""
    return "".join(mark(stage.status) for stage in stage_views(execution, now))


def ending(execution: Execution, now: datetime) -> str:
    """How an execution stands, in one line, for its end."""
    seconds = lasted(execution.started, execution.ended, now) or 0
    reason = f": {execution.reason}" if execution.reason else ""
    return one_line(
        f"{mark(execution.status)} {execution.title} {execution.status}"
        f" after {span(seconds)}{reason}"
    )


def next_commands(execution: Execution) -> list[str]:
    """The commands a person may want now, each with what it does."""
    named = f"{execution.pipeline} {execution.number}"
    match execution.status:
        case Status.FAILED | Status.STOPPED | Status.CANCELLED:
            return [
                f"logs:  deliver logs {named} --failed",
                f"again: deliver retry {named}",
            ]
        case Status.WAITING if stages := _stages_with_rules(execution):
            return [
                f'go on: deliver override {named} {stage} -m "..."' for stage in stages
            ]
        case Status.WAITING if _held(execution):
            return [f"watch: deliver status {execution.pipeline}"]
        case Status.WAITING:
            return [
                f'go on: deliver approve {named} -m "..."',
                f'or:    deliver reject {named} -m "..."',
            ]
        case Status.SUCCEEDED:
            return [
                f"undo:  deliver rollback {execution.pipeline} {stage}"
                for stage in deploying_stages(execution)[-1:]
            ]
        case Status.IN_PROGRESS | Status.STOPPING:
            return [f"watch: deliver status {named} --watch"]
        case _:
            return [f"see:   deliver history {execution.pipeline}"]


def _stages_with_rules(execution: Execution) -> list[str]:
    """Stages in which rules wait for their time."""
    return [
        name
        for name, run in execution.stages.items()
        if not run.status.ended
        and any(
            runs[-1].due and not runs[-1].status.ended for runs in run.actions.values()
        )
    ]


def deploying_stages(execution: Execution) -> list[str]:
    """Names of the stages that change an environment, in order."""
    return [
        name
        for name in execution.only or execution.definition.stages
        if any(
            action.uses.startswith("deploy/")
            for action in execution.definition.stages[name].actions.values()
        )
    ]


def _grid() -> Table:
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1)  # indent
    for _ in range(4):  # mark and name of stage and action
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _add_row(
    table: Table, stage: StageView | None, action: ActionView, last: str
) -> None:
    note = last if action.status is Status.IN_PROGRESS and last else action.note
    table.add_row(
        "",
        _mark(stage.status) if stage else "",
        Text(stage.name if stage else "", style="bold"),
        _mark(action.status),
        Text(action.name),
        Text("" if action.seconds is None else span(action.seconds), style="dim"),
        Text(_note(action, note or ""), style=_note_style(action.status)),
    )


def _mark(status: Status | None) -> Text:
    return Text(mark(status), style=_STYLES.get(status, "dim") if status else "dim")


def _note(action: ActionView, note: str) -> str:
    again = f"attempt {action.attempts}" if action.attempts > 1 else ""
    is_asked = action.status is Status.WAITING and action.due is None
    waits = "waits for a decision" if is_asked else ""
    return one_line(" · ".join(part for part in (again, waits, note) if part))


def _note_style(status: Status | None) -> str:
    return "red" if status is Status.FAILED else "dim" if status is None else ""


def _why(execution: Execution) -> str:
    started = f"{execution.trigger} by {execution.started_by}"
    return f"{started}: {execution.reason}" if execution.reason else started


def _standing(stages: Sequence[StageView]) -> dict[str, ActionView]:
    return {
        f"{stage.name} / {action.name}": action
        for stage in stages
        for action in stage.actions
    }


def _same(old: ActionView | None, new: ActionView) -> bool:
    return old is not None and (old.status, old.attempts) == (new.status, new.attempts)


def _happened(action: ActionView) -> str:
    took = action.seconds is not None and action.status and action.status.ended
    parts = [
        f"{action.status}" + (f" in {span(action.seconds or 0)}" if took else ""),
        f"attempt {action.attempts}" if action.attempts > 1 else "",
        action.note or "",
    ]
    return one_line(" · ".join(part for part in parts if part))
