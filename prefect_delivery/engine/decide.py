"""What an execution does next: pure, total, without a clock of its own.

Rules of run order, parallel actions and stage failure follow CodePipeline (user guide,
"How pipeline executions work"): actions of one run order run in parallel, a group
starts when the whole group before it has succeeded, a failed action lets its running
siblings end and then fails the stage. Beyond it, stages may form a graph by `needs`:
branches that do not need a failed stage go on, as in GitLab.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

from prefect_delivery.definition.models import Action, Retry, Stage
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status
from prefect_delivery.engine.steps import (
    CancelAction,
    End,
    EndStage,
    EnterStage,
    RetryStage,
    StartAction,
    Step,
    Wait,
)

_PASSED = {Status.SUCCEEDED, Status.SKIPPED}


def decide(execution: Execution, now: datetime) -> list[Step]:
    """Say what is to be done for `execution` at `now`.

    Asked again after the steps were carried out, it never asks for the same step twice,
    save for `CancelAction` and `Wait`. An execution that has ended gets no steps.
    """
    if execution.status.ended:
        return []
    steps = [
        step
        for name, stage in _scope(execution).items()
        for step in _stage_steps(execution, name, stage, now)
    ]
    return steps or [_end(execution)]


def _scope(execution: Execution) -> dict[str, Stage]:
    stages = execution.definition.stages
    if execution.only is None:
        return stages
    return {name: stages[name] for name in execution.only}


def _stage_steps(
    execution: Execution, name: str, stage: Stage, now: datetime
) -> Iterator[Step]:
    run = execution.stages.get(name)
    if run is None or run.status is Status.WAITING:
        yield from _before(execution, name, stage, run)
    elif not run.status.ended:
        yield from _inside(execution, name, stage, run, now)


def _before(
    execution: Execution, name: str, stage: Stage, run: StageRun | None
) -> Iterator[Step]:
    """Steps for a stage that is not entered yet, or waits to be."""
    if not execution.stop:
        if run is not None or _needs_are_met(execution, stage):
            yield EnterStage(name)
    elif run is not None:
        yield EndStage(name, Status.STOPPED, _stopped_by(execution))


def _needs_are_met(execution: Execution, stage: Stage) -> bool:
    scope = _scope(execution)
    needed = [execution.stages.get(need) for need in stage.needs or [] if need in scope]
    return all(run is not None and run.status in _PASSED for run in needed)


def _inside(
    execution: Execution, name: str, stage: Stage, run: StageRun, now: datetime
) -> Iterator[Step]:
    """Steps for a stage that was entered and has not ended."""
    last = {action: _last(run, action) for action in stage.actions}
    open_runs = {
        action: attempt
        for action, attempt in last.items()
        if attempt and not attempt.status.ended
    }
    if open_runs:
        yield from _watch(execution, name, stage, open_runs, now)
    if execution.stop:
        if not open_runs:
            yield EndStage(name, Status.STOPPED, _stopped_by(execution))
        return
    failed = [action for action in stage.actions if _has_failed(stage, run, action)]
    if failed:
        if not open_runs:
            yield _failed(name, stage, run, _why(failed, last))
        return
    yield from _next_group(name, stage, run, now)


def _failed(name: str, stage: Stage, run: StageRun, reason: str) -> Step:
    """Close a failed stage, or run it again once where it says so.

    A stage that was retried before, by itself or by a person, is not retried by itself.
    """
    wish = stage.on_failure
    if wish and wish.result == "retry" and not run.baseline:
        return RetryStage(name, wish.retry_mode == "all_actions")
    return EndStage(name, Status.FAILED, reason)


def _watch(
    execution: Execution,
    name: str,
    stage: Stage,
    open_runs: dict[str, ActionRun],
    now: datetime,
) -> Iterator[Step]:
    """Cancel open attempts that must end, and wait for the others."""
    deadlines = []
    for action, attempt in open_runs.items():
        limit = stage.actions[action].timeout
        deadline = attempt.started + timedelta(minutes=limit) if limit else None
        stop = execution.stop
        if stop and (stop.abandon or attempt.status is Status.WAITING):
            reason = _stopped_by(execution)
            yield CancelAction(name, action, attempt.attempt, reason, False)
        elif deadline and deadline <= now:
            reason = f"timed out after {limit:g} min"
            yield CancelAction(name, action, attempt.attempt, reason, True)
        elif deadline:
            deadlines.append(deadline)
    waiting = [a for a, r in open_runs.items() if r.status is Status.WAITING]
    reason = f"{name}: " + ", ".join(
        f"{action} waits for a decision" if action in waiting else f"{action} runs"
        for action in open_runs
    )
    yield Wait(reason, min(deadlines, default=None))


def _next_group(
    name: str, stage: Stage, run: StageRun, now: datetime
) -> Iterator[Step]:
    """Start what is due in the first run-order group that is not through yet."""
    for group in run_order(stage):
        runs = {action: _last(run, action) for action in group}
        if all(r is not None and r.status in _PASSED for r in runs.values()):
            continue
        for action, attempt in runs.items():
            if attempt is None:
                yield StartAction(name, action, len(run.actions.get(action, ())) + 1)
            elif attempt.status is Status.FAILED:
                yield _again(name, stage.actions[action], action, run, now)
        return
    yield EndStage(name, Status.SUCCEEDED)


def run_order(stage: Stage) -> list[list[str]]:
    """Names of the stage's actions in groups that run in parallel, in order."""
    by_order = sorted(stage.actions, key=lambda name: stage.actions[name].run_order)
    return [
        list(group)
        for _, group in groupby(by_order, key=lambda n: stage.actions[n].run_order)
    ]


def _again(
    name: str, action: Action, action_name: str, run: StageRun, now: datetime
) -> Step:
    """Try a failed action again, once its delay has passed."""
    attempts = _counted(run, action_name)
    ended = attempts[-1].ended or now
    retry = action.retry or Retry(attempts=1)
    due = ended + timedelta(seconds=retry.delay * retry.backoff ** (len(attempts) - 1))
    if due <= now:
        return StartAction(name, action_name, len(run.actions[action_name]) + 1)
    return Wait(f"{name}: {action_name} is tried again", due)


def _counted(run: StageRun, action: str) -> tuple[ActionRun, ...]:
    """The attempts that count: those since somebody last asked to retry the stage."""
    return run.actions.get(action, ())[run.baseline.get(action, 0) :]


def _last(run: StageRun, action: str) -> ActionRun | None:
    counted = _counted(run, action)
    return counted[-1] if counted else None


def _has_failed(stage: Stage, run: StageRun, action: str) -> bool:
    """Whether an action has failed for good."""
    counted = _counted(run, action)
    if not counted or not counted[-1].status.ended or counted[-1].status in _PASSED:
        return False
    retry = stage.actions[action].retry
    return (
        not (retry and counted[-1].retryable and len(counted) < retry.attempts)
        or counted[-1].status is not Status.FAILED
    )


def _why(failed: list[str], last: dict[str, ActionRun | None]) -> str:
    first = last[failed[0]]
    return f"{failed[0]}: {(first and first.error) or 'failed'}"


def _stopped_by(execution: Execution) -> str:
    stop = execution.stop
    assert stop is not None  # noqa: S101 - only asked once a stop was requested
    return f"stopped by {stop.by}" + (f": {stop.reason}" if stop.reason else "")


def _end(execution: Execution) -> Step:
    """Close an execution that has nothing left to do in any stage."""
    if execution.stop:
        return End(Status.STOPPED, _stopped_by(execution))
    for name in _scope(execution):
        run = execution.stages.get(name)
        if run is not None and run.status not in _PASSED:
            return End(Status.FAILED, f"{name} / {run.reason or run.status}")
    return End(Status.SUCCEEDED)
