"""The normal form of a pipeline: everything that may be left out is written out."""

import re
from collections.abc import Mapping

from prefect_delivery.definition.catalogue import ActionSpec
from prefect_delivery.definition.models import Action, Pipeline, Rule, Stage
from prefect_delivery.definition.order import actions_of, needs_of

Specs = Mapping[str, ActionSpec]
Inputs = dict[str, str | list[str]]


def normal(pipeline: Pipeline, specs: Specs) -> Pipeline:
    """The pipeline with needs, inputs, outputs and namespaces written out.

    What cannot be completed stays as it is; `rules` says what is wrong with it.

    Args:
        specs: The actions that the pipeline uses, by name; unknown ones left out.
    """
    sources = [
        artifact
        for _, name, action in actions_of(pipeline)
        if action.uses.startswith("source/")
        for artifact in _outputs(name, action, specs.get(action.uses))
    ]
    source = sources[0] if len(sources) == 1 else None
    stages = {
        name: stage.model_copy(
            update={
                "needs": needs_of(pipeline.stages, name),
                "runs_on": None,
                "actions": _actions(stage, specs, source),
                **_conditions(stage, specs, source),
            }
        )
        for name, stage in pipeline.stages.items()
    }
    return pipeline.model_copy(update={"stages": stages})


def may_run_elsewhere(action: Action) -> bool:
    """Whether an action needs nothing of where the pipeline runs.

    Sources note what they saw last, approvals and the jobs of custom actions wait in
    the ledger, and deployments hold the lease of an environment.
    """
    return action.uses != "invoke/custom-action" and action.uses.partition("/")[
        0
    ] not in {"source", "approval", "deploy"}


def default_namespace(action: str) -> str:
    """The namespace of an action that names none: its own name, as far as allowed."""
    return re.sub(r"[^A-Za-z0-9@_-]", "-", action)


def _actions(stage: Stage, specs: Specs, source: str | None) -> dict[str, Action]:
    return {
        name: action.model_copy(
            update={
                "namespace": action.namespace or default_namespace(name),
                "inputs": _inputs(action, specs.get(action.uses), source),
                "outputs": _outputs(name, action, specs.get(action.uses)),
                "runs_on": action.runs_on
                or (stage.runs_on if may_run_elsewhere(action) else None),
            }
        )
        for name, action in stage.actions.items()
    }


def _conditions(stage: Stage, specs: Specs, source: str | None) -> dict[str, object]:
    conditions: dict[str, object] = {}
    for when in ("before_entry", "on_success", "on_failure"):
        if condition := getattr(stage, when):
            rules = {
                name: rule.model_copy(
                    update={"inputs": _inputs(rule, specs.get(rule.uses), source)}
                )
                for name, rule in condition.rules.items()
            }
            conditions[when] = condition.model_copy(update={"rules": rules})
    return conditions


def _inputs(
    action: Action | Rule, spec: ActionSpec | None, source: str | None
) -> str | Inputs:
    if spec is None or (isinstance(action.inputs, str) and not spec.inputs):
        return action.inputs
    given: Mapping[str, str | list[str]] = (
        {next(iter(spec.inputs)): action.inputs}
        if isinstance(action.inputs, str)
        else action.inputs
    )
    missing = [
        name
        for name, wanted in spec.inputs.items()
        if wanted.required and name not in given
    ]
    # Two required inputs cannot both mean "the source"; the rules ask which is which.
    filled = {name: source for name in missing if source and len(missing) == 1}
    return {
        name: [names] if isinstance(names, str) and _takes_many(spec, name) else names
        for name, names in {**given, **filled}.items()
    }


def _takes_many(spec: ActionSpec, parameter: str) -> bool:
    return parameter in spec.inputs and spec.inputs[parameter].many


def _outputs(
    name: str, action: Action, spec: ActionSpec | None
) -> dict[str, list[str]]:
    if action.outputs or spec is None or spec.outputs != "one":
        return action.outputs
    return {re.sub(r"[^A-Za-z0-9_-]", "-", name): []}
