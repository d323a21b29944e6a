"""Conditions of a stage: rules asked before it, after its success or its failure.

A rule runs as an action does, and is kept as one under a name such as
`before_entry:business-hours`; no action's name holds a colon. All rules of a condition
are asked at once, and all must hold. A rollback is asked nothing.
Source: CodePipeline user guide, "Configure stage conditions".
"""

from collections.abc import Iterator
from enum import Enum
from typing import Literal, get_args

from prefect_delivery.definition.models import (
    Action,
    Condition,
    OnFailure,
    Rule,
    Stage,
)
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status

When = Literal["before_entry", "on_success", "on_failure"]
WHENS: tuple[When, ...] = get_args(When)


class Standing(Enum):
    """How a condition stands."""

    OPEN = "open"
    MET = "met"
    NOT_MET = "not met"


def is_rule(name: str) -> bool:
    """Whether the runs of that name are those of a rule, not of an action."""
    return ":" in name


def shown(name: str) -> str:
    """The name of an action, or of a rule as people read it."""
    return name.replace(":", ": ", 1)


def rules_of(stage: Stage, *whens: When) -> dict[str, Rule]:
    """Rules under the names of their runs, in order; by default all of a stage."""
    return {
        f"{when}:{name}": rule
        for when in whens or WHENS
        if (condition := condition_of(stage, when))
        for name, rule in condition.rules.items()
    }


def condition_of(stage: Stage, when: When) -> Condition | OnFailure | None:
    match when:
        case "before_entry":
            return stage.before_entry
        case "on_success":
            return stage.on_success
        case "on_failure":
            return stage.on_failure


def spec_of(stage: Stage, name: str) -> Action | Rule:
    """The action or rule that runs under a name."""
    return rules_of(stage)[name] if is_rule(name) else stage.actions[name]


def as_asked(execution: Execution, name: str) -> Stage:
    """A stage with the conditions that an execution is asked for."""
    stage = execution.definition.stages[name]
    if not execution.is_rollback:
        return stage
    wish = stage.on_failure
    kept = wish if wish and wish.result == "retry" else None
    # Several stages go back one after the other, the last of the pipeline first.
    order = execution.only or (name,)
    needs = [*order[: order.index(name)][-1:]]
    return stage.model_copy(
        update={
            "needs": needs,
            "before_entry": None,
            "on_success": None,
            "on_failure": kept,
        }
    )


def counted(run: StageRun, name: str) -> tuple[ActionRun, ...]:
    """The runs that count: those since somebody last asked to retry the stage."""
    return run.actions.get(name, ())[run.baseline.get(name, 0) :]


def last_run(run: StageRun, name: str) -> ActionRun | None:
    """The latest run that counts."""
    runs = counted(run, name)
    return runs[-1] if runs else None


def standing(stage: Stage, run: StageRun, when: When) -> Standing:
    """Whether all rules of a condition hold, as far as is known."""
    if when in run.overridden:
        return Standing.MET
    last = [last_run(run, name) for name in rules_of(stage, when)]
    if any(r and r.status.ended and r.status is not Status.SUCCEEDED for r in last):
        return Standing.NOT_MET
    if all(r and r.status is Status.SUCCEEDED for r in last):
        return Standing.MET
    return Standing.OPEN


def moot(stage: Stage, run: StageRun, name: str) -> str | None:
    """Why the answer of a rule that is still asked matters no more, if so."""
    for when in WHENS:
        if name in rules_of(stage, when):
            if when in run.overridden:
                return f"overridden by {run.overridden[when]}"
            if standing(stage, run, when) is Standing.NOT_MET:
                return "another rule does not hold"
    return None


def why_not(stage: Stage, run: StageRun, when: When) -> str:
    """Which rule does not hold, and what it says."""
    said = [
        f"{shown(name)}: {last.error or 'does not hold'}"
        for name in rules_of(stage, when)
        if (last := last_run(run, name)) and last.status is Status.FAILED
    ]
    return said[0] if said else f"{when} was not met"


def wants_rollback(execution: Execution, name: str) -> bool:
    """Whether a stage that has ended asks to be rolled back.

    One that was not entered has changed nothing.
    """
    stage, run = as_asked(execution, name), execution.stages[name]
    if run.status is not Status.FAILED or not _was_entered(stage, run):
        return False
    after = stage.on_success
    unmet = standing(stage, run, "on_success") is Standing.NOT_MET
    if after and unmet and after.result == "rollback":
        return True
    wish = stage.on_failure
    return (
        wish is not None
        and wish.result == "rollback"
        and "on_failure" not in run.overridden
        and standing(stage, run, "on_failure") is Standing.MET
    )


def conditions_to_override(stage: Stage, run: StageRun) -> Iterator[When]:
    """The conditions that are asked now, or were not met; the latter without skip."""
    if run.status in {Status.SUCCEEDED, Status.SKIPPED}:
        return
    for when in WHENS:
        rules = rules_of(stage, when)
        asked = any(last_run(run, name) for name in rules)
        if asked and standing(stage, run, when) is not Standing.MET:
            yield when


def has_acted(run: StageRun) -> bool:
    """Whether an action of a stage was ever begun: without any it changed nothing."""
    return any(not is_rule(name) for name in run.actions)


def _was_entered(stage: Stage, run: StageRun) -> bool:
    return standing(stage, run, "before_entry") is Standing.MET
