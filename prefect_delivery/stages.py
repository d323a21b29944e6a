"""What a person sees of an execution: its stages and actions, each with a mark.

Text, JSON, Markdown and the picture are all drawn from this one view.
"""

from dataclasses import dataclass
from datetime import datetime

from prefect_delivery.definition.models import Pipeline, Stage
from prefect_delivery.engine.conditions import (
    as_asked,
    last_run,
    rules_of,
    shown,
    spec_of,
)
from prefect_delivery.engine.decide import run_order
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status

NOT_STARTED = "○"
MARKS: dict[Status, str] = {
    Status.IN_PROGRESS: "●",
    Status.STOPPING: "●",
    Status.WAITING: "Ⅱ",
    Status.SUCCEEDED: "✓",
    Status.FAILED: "✗",
    Status.SKIPPED: "–",  # noqa: RUF001 - a dash as wide as the other marks
    Status.STOPPED: "■",
    Status.CANCELLED: "■",
    Status.SUPERSEDED: "»",
}


@dataclass(frozen=True, kw_only=True)
class ActionView:
    """One action as it stands, or one rule of a condition.

    Attributes:
        status: Of its latest attempt that counts; None before the first.
        attempts: Attempts made so far, those before a retry of the stage included.
        seconds: How long the latest attempt took or takes; None before it.
        note: Its summary, or why it failed, in one line.
        due: When it is asked again, where it waits for that.
    """

    name: str
    uses: str
    status: Status | None = None
    attempts: int = 0
    seconds: float | None = None
    note: str | None = None
    link: str | None = None
    due: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StageView:
    """One stage as it stands.

    Attributes:
        status: None before it is entered; waiting when only decisions are missing.
        groups: Its actions in order; those of one group run in parallel. Rules come
            first (`before_entry: hours`) or last.
    """

    name: str
    needs: tuple[str, ...]
    groups: tuple[tuple[ActionView, ...], ...]
    status: Status | None = None
    seconds: float | None = None
    reason: str | None = None

    @property
    def actions(self) -> list[ActionView]:
        return [action for group in self.groups for action in group]


def stage_views(of: Execution | Pipeline, now: datetime) -> list[StageView]:
    """The stages of an execution, or of a definition that has not run, in order."""
    if isinstance(of, Pipeline):
        return [_stage(name, s, None, now) for name, s in of.stages.items()]
    scope = of.only or tuple(of.definition.stages)
    return [
        _stage(name, as_asked(of, name), of.stages.get(name), now) for name in scope
    ]


def mark(status: Status | None) -> str:
    """One character for a status, readable without colour."""
    return MARKS[status] if status else NOT_STARTED


def span(seconds: float) -> str:
    """A duration as people say it, such as `9s`, `1m 12s`, `2h 05m` or `3d 4h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def lasted(
    started: datetime | None, ended: datetime | None, now: datetime
) -> float | None:
    """Seconds from `started` to `ended`, or to `now` for what has not ended."""
    return ((ended or now) - started).total_seconds() if started else None


def _stage(name: str, stage: Stage, run: StageRun | None, now: datetime) -> StageView:
    groups = tuple(
        tuple(_action(action, stage, run, now) for action in group)
        for group in _groups(stage, run)
    )
    needs = tuple(stage.needs or ())
    if run is None:
        return StageView(name=name, needs=needs, groups=groups)
    return StageView(
        name=name,
        needs=needs,
        groups=groups,
        status=_status(run, groups),
        seconds=lasted(run.started, run.ended, now),
        reason=run.reason,
    )


def _groups(stage: Stage, run: StageRun | None) -> list[list[str]]:
    after = [*rules_of(stage, "on_failure")]
    groups = [
        [*rules_of(stage, "before_entry")],
        *run_order(stage),
        [*rules_of(stage, "on_success")],
        [name for name in after if run and name in run.actions],
    ]
    return [group for group in groups if group]


def _status(run: StageRun, groups: tuple[tuple[ActionView, ...], ...]) -> Status:
    statuses = {action.status for group in groups for action in group}
    waits = Status.WAITING in statuses and Status.IN_PROGRESS not in statuses
    return Status.WAITING if waits and run.status is Status.IN_PROGRESS else run.status


def _action(name: str, stage: Stage, run: StageRun | None, now: datetime) -> ActionView:
    uses = spec_of(stage, name).uses
    made = run.actions.get(name, ()) if run else ()
    last = latest(run, name)
    if last is None:
        return ActionView(name=shown(name), uses=uses, attempts=len(made))
    return ActionView(
        name=shown(name),
        uses=uses,
        status=last.status,
        attempts=len(made),
        seconds=lasted(last.started, last.ended, now),
        note=last.error or last.summary,
        link=last.link,
        due=last.due if last.status is Status.WAITING else None,
    )


def latest(run: StageRun | None, action: str) -> ActionRun | None:
    """The latest attempt that counts: of those since the stage was last retried."""
    return last_run(run, action) if run else None
