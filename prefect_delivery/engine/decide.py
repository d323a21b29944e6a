"""What an execution does next: pure, total, without a clock of its own.

Rules of run order, parallel actions and stage failure follow CodePipeline (user guide,
"How pipeline executions work"): actions of one run order run in parallel, a group
starts when the whole group before it has succeeded, a failed action lets its running
siblings end and then fails the stage. Rules of conditions are asked as a group before
the first and after the last. Beyond it, stages may form a graph by `needs`: branches
that do not need a failed stage go on, as in GitLab.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

from prefect_delivery.definition.models import Action, Retry, Stage
from prefect_delivery.engine.conditions import (
    Standing,
    When,
    as_asked,
    counted,
    last_run,
    moot,
    rules_of,
    shown,
    spec_of,
    standing,
    why_not,
)
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status
from prefect_delivery.engine.steps import (
    AskAgain,
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
    save for `CancelAction`, `Wait` and, when it has no answer again, `AskAgain`. An execution that has ended gets no steps.
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
    names = execution.definition.stages if execution.only is None else execution.only
    return {name: as_asked(execution, name) for name in names}


def _stage_steps(
    execution: Execution, name: str, stage: Stage, now: datetime
) -> Iterator[Step]:
    run = execution.stages.get(name)
    if run is None or run.status is Status.WAITING:
        if by := _superseded(execution):
            # What is inside of another stage ends there; nothing is entered any more.
            if run is not None:
                yield EndStage(name, Status.SUPERSEDED, by)
        else:
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
    names = [*stage.actions, *rules_of(stage)]
    open_runs = {
        action: attempt
        for action in names
        if (attempt := last_run(run, action)) and not attempt.status.ended
    }
    if open_runs:
        yield from _watch(execution, name, stage, run, open_runs, now)
    if execution.stop:
        if not open_runs:
            yield EndStage(name, Status.STOPPED, _stopped_by(execution))
        return
    for step in _onward(name, stage, run, now):
        # A stage ends, or is run again, when nothing in it runs any more.
        if not (open_runs and isinstance(step, EndStage | RetryStage)):
            yield step


def _onward(name: str, stage: Stage, run: StageRun, now: datetime) -> Iterator[Step]:
    """Steps for what comes next in a stage, as far as the answers are known."""
    entry = standing(stage, run, "before_entry")
    if entry is Standing.OPEN:
        yield from _ask(name, stage, run, "before_entry")
    elif entry is Standing.NOT_MET:
        condition = stage.before_entry
        skipped = condition is not None and condition.result == "skip"
        status = Status.SKIPPED if skipped else Status.FAILED
        yield EndStage(name, status, why_not(stage, run, "before_entry"))
    elif failed := [a for a in stage.actions if _has_failed(stage, run, a)]:
        if not any(_is_open(run, action) for action in stage.actions):
            yield from _failed(name, stage, run, _why(run, failed[0]))
    else:
        yield from _next_group(name, stage, run, now)


def _is_open(run: StageRun, action: str) -> bool:
    last = last_run(run, action)
    return last is not None and not last.status.ended


def _ask(name: str, stage: Stage, run: StageRun, when: When) -> Iterator[Step]:
    """Ask the rules of a condition that were not asked yet."""
    for rule in rules_of(stage, when):
        if last_run(run, rule) is None:
            yield StartAction(name, rule, len(run.actions.get(rule, ())) + 1)


def _failed(name: str, stage: Stage, run: StageRun, reason: str) -> Iterator[Step]:
    """Close a failed stage, or run it again once where it says so.

    A stage that was retried before, by itself or by a person, is not retried by itself.
    The rules of a rollback are asked before; `wants_rollback` reads their answers.
    """
    wish = stage.on_failure
    if wish and wish.result == "retry" and not run.baseline:
        yield RetryStage(name, wish.retry_mode == "all_actions")
    elif standing(stage, run, "on_failure") is Standing.OPEN:
        yield from _ask(name, stage, run, "on_failure")
    else:
        yield EndStage(name, Status.FAILED, reason)


def _succeeded(name: str, stage: Stage, run: StageRun) -> Iterator[Step]:
    """Close a stage all of whose actions have succeeded."""
    match standing(stage, run, "on_success"):
        case Standing.OPEN:
            yield from _ask(name, stage, run, "on_success")
        case Standing.MET:
            yield EndStage(name, Status.SUCCEEDED)
        case Standing.NOT_MET:
            reason = why_not(stage, run, "on_success")
            condition = stage.on_success
            if condition and condition.result == "rollback":
                yield EndStage(name, Status.FAILED, reason)
            else:
                yield from _failed(name, stage, run, reason)


def _watch(
    execution: Execution,
    name: str,
    stage: Stage,
    run: StageRun,
    open_runs: dict[str, ActionRun],
    now: datetime,
) -> Iterator[Step]:
    """Cancel open attempts that must end, and wait for the others."""
    times: list[datetime] = []
    for action, attempt in open_runs.items():
        limit = spec_of(stage, action).timeout
        deadline = attempt.started + timedelta(minutes=limit) if limit else None
        stop = execution.stop
        if stop and (stop.abandon or attempt.status is Status.WAITING):
            reason = _stopped_by(execution)
            yield CancelAction(name, action, attempt.attempt, reason, False)
        elif why := moot(stage, run, action):
            at = (name, action, attempt.attempt)
            yield CancelAction(*at, why, True, status=Status.STOPPED)
        elif deadline and deadline <= now:
            reason = f"timed out after {limit:g} min"
            yield CancelAction(name, action, attempt.attempt, reason, True)
        elif attempt.due and attempt.due <= now and attempt.status is Status.WAITING:
            yield AskAgain(name, action, attempt.attempt)
        else:
            times += [time for time in (deadline, _due(attempt)) if time]
    reason = f"{name}: " + ", ".join(
        f"{shown(action)} {_doing(attempt)}" for action, attempt in open_runs.items()
    )
    yield Wait(reason, min(times, default=None))


def _due(attempt: ActionRun) -> datetime | None:
    return attempt.due if attempt.status is Status.WAITING else None


def _doing(attempt: ActionRun) -> str:
    if attempt.status is not Status.WAITING:
        return "runs"
    return "is asked again" if attempt.due else "waits for a decision"


def _next_group(
    name: str, stage: Stage, run: StageRun, now: datetime
) -> Iterator[Step]:
    """Start what is due in the first run-order group that is not through yet."""
    for group in run_order(stage):
        runs = {action: last_run(run, action) for action in group}
        if all(r is not None and r.status in _PASSED for r in runs.values()):
            continue
        for action, attempt in runs.items():
            if attempt is None:
                yield StartAction(name, action, len(run.actions.get(action, ())) + 1)
            elif attempt.status is Status.FAILED:
                yield _again(name, stage.actions[action], action, run, now)
        return
    yield from _succeeded(name, stage, run)


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
    attempts = counted(run, action_name)
    ended = attempts[-1].ended or now
    retry = action.retry or Retry(attempts=1)
    due = ended + timedelta(seconds=retry.delay * retry.backoff ** (len(attempts) - 1))
    if due <= now:
        return StartAction(name, action_name, len(run.actions[action_name]) + 1)
    return Wait(f"{name}: {action_name} is tried again", due)


def _has_failed(stage: Stage, run: StageRun, action: str) -> bool:
    """Whether an action has failed for good."""
    runs = counted(run, action)
    if not runs or not runs[-1].status.ended or runs[-1].status in _PASSED:
        return False
    retry = stage.actions[action].retry
    return (
        not (retry and runs[-1].retryable and len(runs) < retry.attempts)
        or runs[-1].status is not Status.FAILED
    )


def _why(run: StageRun, action: str) -> str:
    last = last_run(run, action)
    return f"{action}: {(last and last.error) or 'failed'}"


def _stopped_by(execution: Execution) -> str:
    stop = execution.stop
    assert stop is not None  # noqa: S101 - only asked once a stop was requested
    return f"stopped by {stop.by}" + (f": {stop.reason}" if stop.reason else "")


def _superseded(execution: Execution) -> str | None:
    """By whom the execution was superseded before one of its stages, if it was."""
    for run in execution.stages.values():
        if run.status is Status.SUPERSEDED:
            return run.reason or "superseded"
    return None


def _end(execution: Execution) -> Step:
    """Close an execution that has nothing left to do in any stage."""
    if execution.stop:
        return End(Status.STOPPED, _stopped_by(execution))
    if by := _superseded(execution):
        return End(Status.SUPERSEDED, by)
    for name in _scope(execution):
        run = execution.stages.get(name)
        if run is not None and run.status not in _PASSED:
            return End(Status.FAILED, f"{name} / {run.reason or run.status}")
    return End(Status.SUCCEEDED)
