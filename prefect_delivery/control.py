"""Every verb a person has: start, approve, reject, retry, roll back, stop, reconcile.

They record in the ledger; the loop of whoever drives the execution sees it there.
"""

import getpass
import os
from collections.abc import Iterator
from typing import Final

from prefect_delivery.approvals import ApprovalView, view_of
from prefect_delivery.codepipeline.availability import refuse_missing
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.conditions import (
    When,
    conditions_to_override,
)
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.quarantine import refusal
from prefect_delivery.lifting import in_the_way, kept_out_of, lift
from prefect_delivery.logs import LogFile
from prefect_delivery.masking import without_credentials
from prefect_delivery.rollbacks import common_target, roll_back

MOST_CHARACTERS: Final = 1000
"""Characters of a pipeline variable's value (CodePipeline's quota)."""


def person() -> str:
    """Who is at the keyboard: `PREFECT_DELIVERY_USER`, or the login name."""
    return os.environ.get("PREFECT_DELIVERY_USER") or getpass.getuser()


def start(
    ledger: Ledger,
    definition: Pipeline,
    *,
    variables: dict[str, str] | None = None,
    revisions: dict[str, str] | None = None,
    trigger: str = "manual",
    started_by: str | None = None,
    key: str | None = None,
    flow_run: str | None = None,
    fresh: bool = False,
) -> Execution:
    """Record a new execution of `definition`, with all it will run on.

    Args:
        variables: Values for pipeline variables.
        revisions: What source actions are pinned to, by action name.
        key: Two starts with the same key are one execution.
        flow_run: Id of the deployed Prefect flow run that is to carry it out.
        fresh: Run actions also where nothing has changed since they ran.

    Raises:
        Refused: A variable is unknown, empty or missing, or a revision names no source.
    """
    return ledger.executions.start(
        definition,
        variables=resolved(definition, variables or {}),
        revisions=checked(definition, revisions or {}),
        trigger=trigger,
        started_by=started_by or person(),
        key=key,
        flow_run=flow_run,
        fresh=fresh,
    )


def check(
    definition: Pipeline,
    *,
    variables: dict[str, str] | None = None,
    revisions: dict[str, str] | None = None,
) -> None:
    """Refuse what `start` would refuse, and record nothing."""
    resolved(definition, variables or {})
    checked(definition, revisions or {})


def resolved(definition: Pipeline, given: dict[str, str]) -> dict[str, str]:
    """The variables of a start, with defaults; refuses as `start` does.

    They are recorded, so what URLs hold before the host becomes `****`.
    """
    unknown = sorted(set(given) - set(definition.variables))
    if unknown:
        known = ", ".join(definition.variables) or "none"
        raise Refused(f"no variable '{unknown[0]}' (declared: {known})")
    values = {
        name: given.get(name, variable.default)
        for name, variable in definition.variables.items()
    }
    for name, value in given.items():
        if len(value) > MOST_CHARACTERS:
            raise Refused(
                f"variable '{name}' has {len(value)} characters;"
                f" {MOST_CHARACTERS} are the most"
            )
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise Refused(
            f"variable '{missing[0]}' needs a value",
            hint=f"deliver run {definition.pipeline} -v {missing[0]}=VALUE",
        )
    return {name: without_credentials(value) for name, value in values.items() if value}


def checked(definition: Pipeline, revisions: dict[str, str]) -> dict[str, str]:
    """The revisions of a start; refuses as `start` does."""
    refuse_missing(definition)
    sources = {
        name
        for stage in definition.stages.values()
        for name, action in stage.actions.items()
        if action.uses.startswith("source/")
    }
    unknown = sorted(set(revisions) - sources)
    if unknown:
        known = ", ".join(sorted(sources))
        raise Refused(f"no source action '{unknown[0]}' (there are: {known})")
    empty = sorted(name for name, revision in revisions.items() if not revision)
    if empty:
        # A source that is pinned to nothing would bring what is newest.
        raise Refused(f"the revision of '{empty[0]}' is empty")
    return {name: without_credentials(each) for name, each in revisions.items()}


def approve(
    ledger: Ledger,
    pipeline: str,
    number: int | None = None,
    *,
    by: str,
    comment: str = "",
    action: str | None = None,
    seen: str | None = None,
) -> Execution:
    """Approve the action that waits in an execution, the latest by default.

    It goes on once all have approved who must; `approval_view` says who is missing.

    Args:
        action: `Stage/action` or `action`, where several wait.
        seen: Fingerprint of the view that the person was shown.

    Raises:
        Refused: Nothing waits, several do, it was decided already, the person may not
            approve it, or there is something else to decide than was seen.
    """
    execution, stage, name = waiting_approval(ledger, pipeline, number, action)
    ledger.executions.decide(
        execution.id, stage, name, by=by, approved=True, comment=comment, seen=seen
    )
    return ledger.executions.get(execution.id)


def reject(
    ledger: Ledger,
    pipeline: str,
    number: int | None = None,
    *,
    by: str,
    comment: str = "",
    action: str | None = None,
    seen: str | None = None,
) -> Execution:
    """Reject the action that waits, whoever has approved it; see `approve`."""
    execution, stage, name = waiting_approval(ledger, pipeline, number, action)
    ledger.executions.decide(
        execution.id, stage, name, by=by, approved=False, comment=comment, seen=seen
    )
    return ledger.executions.get(execution.id)


def approval_view(
    ledger: Ledger, execution: Execution, stage: str, action: str
) -> ApprovalView:
    """What there is to decide, who has voted and who is missing.

    Raises:
        Refused: The action has not begun.
    """
    return view_of(ledger, execution, stage, action)


def approvals_waiting(ledger: Ledger, by: str | None = None) -> list[ApprovalView]:
    """What waits for a decision over all pipelines, the newest execution first.

    Args:
        by: Only what waits for this person.
    """
    views = [
        view_of(ledger, execution, stage, name)
        for execution in ledger.executions.list(open_only=True, limit=1000)
        for stage, name in waiting_actions(execution)
    ]
    return [view for view in views if by is None or view.waits_for(by)]


def waiting_approval(
    ledger: Ledger, pipeline: str, number: int | None = None, action: str | None = None
) -> tuple[Execution, str, str]:
    """The execution, stage and name of the one action that waits for a decision.

    Raises:
        Refused: Nothing waits, or several do.
    """
    execution = ledger.executions.find(pipeline, number)
    waiting = [
        (stage, name)
        for stage, name in waiting_actions(execution)
        if action in {None, name, f"{stage}/{name}"}
    ]
    if len(waiting) != 1:
        which = ", ".join(f"{stage}/{name}" for stage, name in waiting)
        raise Refused(
            f"{execution.title} waits for several decisions: {which}"
            if waiting
            else f"{execution.title} waits for no decision",
            hint=f"deliver status {pipeline} {execution.number}",
        )
    return execution, *waiting[0]


def waiting_actions(execution: Execution) -> list[tuple[str, str]]:
    """Stage and name of each action that waits for a decision."""
    return [
        (stage, name)
        for stage, run in execution.stages.items()
        for name, attempts in run.actions.items()
        if attempts[-1].status is Status.WAITING
        and attempts[-1].due is None
        and not run.status.ended
    ]


def retry(
    ledger: Ledger,
    pipeline: str,
    number: int | None = None,
    *,
    by: str,
    all_actions: bool = False,
    lift_because: str | None = None,
) -> Execution:
    """Open the failed or stopped stages of an execution again, under its number.

    One that was stopped between two stages goes on with the next.

    Args:
        lift_because: Why what keeps its release out of the stages' environments is
            lifted; by default it is not.

    Raises:
        Refused: The execution still runs, or has nothing to retry, or to lift.
    """
    execution = ledger.executions.find(pipeline, number)
    if not execution.status.ended:
        raise Refused(
            f"{execution.title} is {execution.status}",
            hint=f"deliver status {pipeline} {execution.number}",
        )
    stages = [
        name
        for name, run in execution.stages.items()
        if run.status in {Status.FAILED, Status.STOPPED}
    ]
    if not stages and execution.status is not Status.STOPPED:
        raise Refused(
            f"{execution.title} has no failed stage to retry",
            hint=f"deliver run {pipeline}",
        )
    kept_out = []
    if lift_because is not None:
        every = stages or [*execution.definition.stages]
        kept_out = in_the_way(ledger, execution, every)
    if not stages:
        ledger.executions.resume(execution.id, by=by)
    for stage in stages:
        ledger.executions.reopen(execution.id, stage, by=by, all_actions=all_actions)
    lift(ledger, kept_out, by=by, reason=lift_because or "")
    return ledger.executions.get(execution.id)


def rollback(
    ledger: Ledger,
    pipeline: str,
    *stages: str,
    to: int | None = None,
    release: str | None = None,
    by: str,
    lift_because: str | None = None,
) -> Execution:
    """Record an execution that runs stages again as they ran before, the last first.

    Args:
        to: Number of the execution to go back to. By default the one before that whose
            work stands now; after a failure, the last good one. What is in quarantine
            is passed over.
        release: Instead of `to`, the beginning of a release's digest.
        lift_because: Why what keeps that release out is lifted; by default it is not.

    Raises:
        Refused: There is no such execution, a stage did not succeed in it, or its
            release is in quarantine; or there is nothing to lift.
    """
    past = ledger.executions.list(pipeline, limit=200)
    if release is not None:
        to = ledger.releases.find(release, pipeline=pipeline).number
    kept_out = {
        key: why
        for stage in stages
        for key, why in kept_out_of(ledger, past, stage).items()
    }
    target = common_target(past, stages, to, kept_out)
    if target is None:
        wanted = f"#{to}" if to else "an earlier execution"
        named = ", ".join(f"'{stage}'" for stage in stages)
        said = f"stage {named}" if len(stages) == 1 else f"stages {named}"
        raise Refused(
            f"{said} of {pipeline} did not succeed in {wanted}",
            hint=f"deliver history {pipeline}",
        )
    if lift_because is not None:
        found = in_the_way(ledger, target, stages)
        lift(ledger, found, by=by, reason=lift_because)
    elif why := kept_out.get(target.id):
        which = f"{pipeline} {' '.join(stages)} --to {target.number}"
        raise refusal(why, f"deliver rollback {which}")
    return roll_back(ledger, target, stages, trigger="rollback", by=by)


def override(
    ledger: Ledger,
    pipeline: str,
    number: int | None,
    stage: str,
    *,
    when: When | None = None,
    by: str,
    reason: str,
) -> When:
    """Let a condition of a stage count as met, in one execution for good.

    What it asks right now ends. A stage that has failed for it already passes it when it
    is retried; one that was skipped stays skipped.

    Args:
        when: The condition; by default the one that is asked now or was not met.

    Returns:
        The condition that was overridden.

    Raises:
        Refused: There is no such condition, or it stands in nobody's way.
    """
    execution = ledger.executions.find(pipeline, number)
    _check_stage(ledger, pipeline, stage)
    run = execution.stages.get(stage)
    spec = execution.definition.stages.get(stage)
    found = list(conditions_to_override(spec, run)) if spec and run else []
    if not found or when not in {None, *found}:
        raise Refused(
            f"{when or 'no condition'} of {execution.title} / {stage}"
            f" {'is not' if when else 'is'} in the way",
            hint=f"deliver status {pipeline} {execution.number}",
        )
    chosen = when or found[-1]
    ledger.executions.override(execution.id, stage, chosen, by=by, reason=reason)
    return chosen


def disable_transition(
    ledger: Ledger, pipeline: str, stage: str, *, by: str, reason: str
) -> None:
    """Let no execution into a stage until somebody enables the way again.

    Raises:
        Refused: The pipeline has no such stage, or its way in is disabled already.
    """
    _check_stage(ledger, pipeline, stage)
    ledger.transitions.disable(pipeline, stage, by=by, reason=reason)


def enable_transition(ledger: Ledger, pipeline: str, stage: str, *, by: str) -> None:
    """Let executions into a stage again.

    Raises:
        Refused: The way is not disabled.
    """
    ledger.transitions.enable(pipeline, stage, by=by)


def _check_stage(ledger: Ledger, pipeline: str, stage: str) -> None:
    stages = ledger.executions.find(pipeline).definition.stages
    if stage not in stages:
        raise Refused(
            f"pipeline '{pipeline}' has no stage '{stage}'",
            hint=f"there are: {', '.join(stages)}",
        )


def stop(
    ledger: Ledger,
    pipeline: str,
    number: int | None = None,
    *,
    by: str,
    reason: str = "",
    abandon: bool = False,
    hold: bool = False,
) -> Execution:
    """Stop an execution: start nothing more, and with `abandon` end what runs.

    A rollout that is abandoned is undone, or with `hold` stays where it is, with its
    environment locked. One that goes back is finished, or held.

    Raises:
        Refused: The execution has ended.
    """
    execution = ledger.executions.find(pipeline, number)
    if execution.status.ended:
        raise Refused(f"{execution.title} has ended: {execution.status}")
    ledger.executions.request_stop(
        execution.id, by=by, reason=reason, abandon=abandon, hold=hold
    )
    return ledger.executions.get(execution.id)


def logs(
    execution: Execution,
    *,
    stage: str | None = None,
    action: str | None = None,
    failed: bool = False,
) -> Iterator[LogFile]:
    """The log files of an execution's attempts, in the order they started.

    Args:
        failed: Only of attempts that failed.
    """
    runs = [
        (run.started, stage_name, name, run)
        for stage_name, stage_run in execution.stages.items()
        for name, attempts in stage_run.actions.items()
        for run in attempts
        if stage in {None, stage_name} and action in {None, name}
    ]
    for _, stage_name, name, run in sorted(runs, key=lambda found: found[0]):
        if not failed or run.status is Status.FAILED:
            yield LogFile.of(execution.id, stage_name, name, run.attempt)
