"""A plan: what a run of a definition would do, as data and as lines to read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect_delivery.cli.terminal import one_line
from prefect_delivery.definition.models import Action, Pipeline, Stage, Triggers
from prefect_delivery.definition.variables import references
from prefect_delivery.engine.conditions import WHENS, When, condition_of
from prefect_delivery.engine.plan import waves
from prefect_delivery.errors import Refused
from prefect_delivery.masking import without_credentials


@dataclass(frozen=True, kw_only=True)
class PlannedAction:
    """An action of a plan.

    Attributes:
        order: Position in its stage; those of one position run side by side.
        runs_on: Work pool that carries it out; None where the pipeline runs.
        cache: `cached`, or why an action with `cache` always runs; None without.
    """

    name: str
    uses: str
    order: int
    does: str
    runs_on: str | None = None
    cache: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedRule:
    """A rule of a condition."""

    name: str
    uses: str


@dataclass(frozen=True, kw_only=True)
class PlannedCondition:
    """What a stage is asked before or after its actions, and what follows.

    Attributes:
        result: What happens when a rule does not hold; on a failure, when all do.
    """

    when: When
    result: str
    rules: list[PlannedRule]

    def __str__(self) -> str:
        rules = ", ".join(f"{rule.name} ({rule.uses})" for rule in self.rules)
        if self.when == "on_failure":
            return f"{self.when}: {self.result}" + (f" if {rules}" if rules else "")
        return f"{self.when}: {rules}, else {self.result}"


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage of a plan.

    Attributes:
        wave: Position in the pipeline; those of one position run side by side.
    """

    name: str
    wave: int
    after: list[str]
    actions: list[PlannedAction]
    conditions: list[PlannedCondition]


@dataclass(frozen=True, kw_only=True)
class PlannedVariable:
    """A pipeline variable: its value, or None when it must be given yet."""

    name: str
    value: str | None
    given: bool


@dataclass(frozen=True, kw_only=True)
class PlannedEnvironment:
    """An environment that the definition configures, and what it runs now."""

    name: str
    kind: str
    serves: str | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do."""

    pipeline: str
    digest: str
    starts_on: list[str]
    variables: list[PlannedVariable]
    stages: list[PlannedStage]
    environments: list[PlannedEnvironment]


def make_plan(
    definition: Pipeline, given: Mapping[str, str], serving: Mapping[str, str]
) -> Plan:
    """What a run of `definition` would do.

    Args:
        given: Values for pipeline variables.
        serving: What environments run now, by name.

    Raises:
        Refused: A variable is given that the definition does not declare.
    """
    for name in given:
        if name not in definition.variables:
            known = ", ".join(definition.variables) or "none"
            raise Refused(
                f"no variable '{name}' in {definition.pipeline} (declared: {known})",
                hint="deliver plan",
            )
    return Plan(
        pipeline=definition.pipeline,
        digest=definition.digest,
        starts_on=starts(definition.on),
        variables=[
            PlannedVariable(
                name=name,
                value=_shown(given.get(name, variable.default)),
                given=name in given,
            )
            for name, variable in definition.variables.items()
        ],
        stages=list(_stages(definition)),
        environments=[
            PlannedEnvironment(
                name=name, kind=str(spec.get("kind", "")), serves=serving.get(name)
            )
            for name, spec in definition.environments.items()
        ],
    )


def _shown(value: str | None) -> str | None:
    return value and without_credentials(value)


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan as JSON data."""
    return asdict(plan)


def plan_lines(plan: Plan) -> Iterator[str]:
    """A plan to read, in clean lines."""
    yield f"{plan.pipeline}  starts on {', '.join(plan.starts_on) or 'command only'}"
    if plan.variables:
        yield "variables"
        for variable in plan.variables:
            yield one_line_under(_variable(variable))
    yield "stages"
    for stage in plan.stages:
        after = f"  after {', '.join(stage.after)}" if stage.after else ""
        yield f"  {stage.wave}. {stage.name}{after}"
        asked = [*stage.conditions]
        while asked and asked[0].when == "before_entry":
            yield f"     {one_line(str(asked.pop(0)))}"
        yield from _action_lines(stage)
        for condition in asked:
            yield f"     {one_line(str(condition))}"
    if plan.environments:
        yield "environments"
        for environment in plan.environments:
            runs = environment.serves or "nothing yet"
            yield f"  {environment.name}  {environment.kind}, runs {one_line(runs)}"
    missing = [variable.name for variable in plan.variables if variable.value is None]
    yield "nothing was changed; start it: deliver run" + "".join(
        f" -v {name}=..." for name in missing
    )


def one_line_under(text: str) -> str:
    """A clean line under a heading."""
    return f"  {one_line(text)}"


def starts(triggers: Triggers) -> list[str]:
    """What starts a pipeline, in words."""
    found = []
    for push in triggers.push or []:
        where = [*push.branches, *push.tags] or ["any branch"]
        found.append(f"push to {' '.join(where)}")
    for pull in triggers.pull_request or []:
        into = pull.branches or ["any branch"]
        found.append(f"pull request into {' '.join(into)}")
    found += [f"'{each.cron}' ({each.timezone})" for each in triggers.schedule]
    found += [f"success of {name}" for name in triggers.pipeline]
    return found + [f"event {name}" for name in triggers.event]


def _variable(variable: PlannedVariable) -> str:
    if variable.value is None:
        return f"{variable.name}  must be given: -v {variable.name}=..."
    origin = "" if variable.given else "  (default)"
    return f"{variable.name} = {variable.value}{origin}"


def _stages(definition: Pipeline) -> Iterator[PlannedStage]:
    for number, wave in enumerate(waves(definition), start=1):
        for name, groups in wave:
            stage = definition.stages[name]
            actions = [
                PlannedAction(
                    name=action,
                    uses=stage.actions[action].uses,
                    order=order,
                    does=_does(stage.actions[action]),
                    runs_on=stage.actions[action].runs_on,
                    cache=_cache(stage.actions[action]),
                )
                for order, group in enumerate(groups, start=1)
                for action in group
            ]
            yield PlannedStage(
                name=name,
                wave=number,
                after=list(stage.needs or []),
                actions=actions,
                conditions=[*conditions(stage)],
            )


def conditions(stage: Stage) -> Iterator[PlannedCondition]:
    """What a stage is asked, in the order in which it is."""
    for when in WHENS:
        if (condition := condition_of(stage, when)) is not None:
            rules = [
                PlannedRule(name=name, uses=rule.uses)
                for name, rule in condition.rules.items()
            ]
            yield PlannedCondition(when=when, result=condition.result, rules=rules)


def _does(action: Action) -> str:
    """What an action does, as far as its configuration tells."""
    match action.uses.split("/"):
        case ["source", _]:
            wanted = action.with_.get("commit") or action.with_.get("tag")
            what = wanted or action.with_.get("branch") or "default branch"
            if "url" not in action.with_:
                return _configured(action)
            return f"{_near(str(action.with_['url']))} {what}"
        case ["deploy", provider] if provider != "environment":
            return f"{_inputs(action)} with {_configured(action)}"
        case ["deploy", _]:
            return f"{_inputs(action)} into {action.with_.get('environment', '')}"
        case ["approval", _]:
            return "waits for a person"
        case _:
            makes = f" makes {', '.join(action.outputs)}" if action.outputs else ""
            return f"reads {_inputs(action)}{makes}" if action.inputs else makes.strip()


def _cache(action: Action) -> str | None:
    """Whether an action is left out when nothing has changed, as far as can be said."""
    if not action.cache:
        return None
    if action.runs_on:
        return "not cached: what its work pool runs it in is not known"
    for reference in references(json.dumps(action.with_)):
        if reference.namespace == "execution":
            return f"not cached: {reference} is another one each time"
    return "cached"


def _configured(action: Action, most: int = 3) -> str:
    """The first of what an action is told, for actions that we know nothing of."""
    told = [
        f"{name}={value}"
        for name, value in action.with_.items()
        if isinstance(value, str) and len(value) <= 60 and "token" not in name
    ]
    return ", ".join(told[:most])


def _inputs(action: Action) -> str:
    if isinstance(action.inputs, str):
        return action.inputs
    names = [
        name
        for value in action.inputs.values()
        for name in (value if isinstance(value, list) else [value])
    ]
    return ", ".join(dict.fromkeys(names))


def _action_lines(stage: PlannedStage) -> Iterator[str]:
    widest = max(len(action.name) for action in stage.actions)
    uses = max(len(action.uses) for action in stage.actions)
    orders = [action.order for action in stage.actions]
    for action in stage.actions:
        beside = " ∥" if orders.count(action.order) > 1 else ""
        yield (
            f"     {action.name:<{widest}}  {action.uses:<{uses}}  "
            f"{one_line(action.does)}{beside}{_where(action)}"
            f"{f'  {action.cache}' if action.cache else ''}"
        ).rstrip()


def _where(action: PlannedAction) -> str:
    return f"  on {action.runs_on}" if action.runs_on else ""


def _near(address: str) -> str:
    """A folder of this machine as seen from where we are."""
    path = Path(address)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return address
