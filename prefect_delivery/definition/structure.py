"""Rules on stages: their order, where sources stand, what conditions may do.

Source: CodePipeline structure reference (sources first and only first, two stages or
more) and stage conditions (which result goes with which condition).
"""

from collections.abc import Iterator

from prefect_delivery.definition.findings import Finding, listed, meant, named
from prefect_delivery.definition.models import Pipeline, Stage
from prefect_delivery.definition.normal import may_run_elsewhere
from prefect_delivery.definition.order import Order, actions_of, needs_of

_RESULTS = {"before_entry": ("fail", "skip"), "on_success": ("fail", "rollback")}


def check_structure(pipeline: Pipeline) -> Iterator[Finding]:
    """What is wrong with the stages as such."""
    yield from _check_needs(pipeline)
    yield from _check_cycles(Order(pipeline))
    yield from _check_sources(pipeline)
    yield from _check_places(pipeline)
    for name, stage in pipeline.stages.items():
        yield from _check_conditions(name, stage, pipeline.mode)
        if stage.supersede_approvals and pipeline.mode != "superseded":
            message = f"nothing is superseded in a pipeline of mode {pipeline.mode}"
            path = ("stages", name, "supersede_approvals")
            yield Finding(path=path, message=message)


def _check_needs(pipeline: Pipeline) -> Iterator[Finding]:
    for name, stage in pipeline.stages.items():
        seen: set[str] = set()
        for index, need in enumerate(stage.needs or []):
            path = ("stages", name, "needs", index)
            if need not in pipeline.stages:
                close = meant(need, pipeline.stages)
                yield Finding(path=path, message=f"no stage {named(need)}{close}")
            elif need in seen:
                yield Finding(path=path, message=f"stage {named(need)} is named twice")
            seen.add(need)


def _check_places(pipeline: Pipeline) -> Iterator[Finding]:
    for stage, name, action in actions_of(pipeline):
        if action.runs_on and not may_run_elsewhere(action):
            kind = action.uses.partition("/")[0]
            message = f"{kind} actions run where the pipeline runs; leave 'runs_on' out"
            path = ("stages", stage, "actions", name, "runs_on")
            yield Finding(path=path, message=message, key=True)


def _check_cycles(order: Order) -> Iterator[Finding]:
    for name in order.stages:
        if name in order.before[name]:
            others = [each for each in order.before[name] if name in order.before[each]]
            ring = [each for each in order.stages if each in others]
            if ring[0] == name:
                message = f"stages {listed(ring, last='and')} need each other"
                if len(ring) == 1:
                    message = f"stage {named(name)} needs itself"
                path = ("stages", name, "needs")
                yield Finding(path=path, message=message)


def _check_sources(pipeline: Pipeline) -> Iterator[Finding]:
    kinds = [_is_source(action.uses) for _, _, action in actions_of(pipeline)]
    stages = ("stages",)
    if len(pipeline.stages) < 2:
        message = "a pipeline needs two stages or more: sources first, then the work"
        yield Finding(path=stages, message=message, key=True)
    elif not any(kinds):
        message = "no source: the first stage needs an action such as source/git"
        yield Finding(path=stages, message=message, key=True)
    elif all(kinds):
        message = "nothing but sources: a later stage needs something to do"
        yield Finding(path=stages, message=message, key=True)
    for stage, name, action in actions_of(pipeline):
        path = ("stages", stage, "actions", name, "uses")
        first = not needs_of(pipeline.stages, stage)
        if first and not _is_source(action.uses):
            message = (
                f"stage {named(stage)} needs no other stage, so it may hold "
                f"sources only, not {named(action.uses)}"
            )
            yield Finding(path=path, message=message)
        elif not first and _is_source(action.uses):
            message = (
                f"source {named(f'{stage} / {name}')} stands in a later stage; "
                "sources belong into a stage that needs no other"
            )
            yield Finding(path=path, message=message)


def _is_source(uses: str) -> bool:
    return uses.startswith("source/")


def _check_conditions(name: str, stage: Stage, mode: str) -> Iterator[Finding]:
    for when, allowed in _RESULTS.items():
        condition = getattr(stage, when)
        if condition and condition.result not in allowed:
            message = f"the result of {named(when)} is {listed(allowed)}"
            message += f", not {named(condition.result)}"
            yield Finding(path=("stages", name, when, "result"), message=message)
    failure = stage.on_failure
    if failure and failure.result == "retry" and failure.rules:
        message = "a retry takes no rules: it is tried once, whatever the reason"
        yield Finding(path=("stages", name, "on_failure", "rules"), message=message)
    for when in ("on_success", "on_failure"):
        condition = getattr(stage, when)
        if mode == "parallel" and condition and condition.result == "rollback":
            message = "a parallel pipeline has no last success to roll back to"
            yield Finding(path=("stages", name, when, "result"), message=message)
