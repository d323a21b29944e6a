"""From our definition to a CodePipeline declaration, as far as it goes by itself."""

from typing import Any

from prefect_delivery.codepipeline.names import (
    CUSTOM,
    key_of,
    role_parameter,
    type_of,
)
from prefect_delivery.codepipeline.references import theirs, used
from prefect_delivery.codepipeline.shell import their_commands
from prefect_delivery.codepipeline.start import their_triggers
from prefect_delivery.codepipeline.values import text_of
from prefect_delivery.codepipeline.windows import their_window
from prefect_delivery.definition.models import (
    Action,
    Condition,
    OnFailure,
    Pipeline,
    Rule,
    Stage,
)
from prefect_delivery.definition.normal import default_namespace

Data = dict[str, Any]

EMPTY: Data = {
    "runOrder": 1,
    "configuration": {},
    "inputArtifacts": [],
    "outputArtifacts": [],
}
"""Keys of an action that may be left out, and what they then mean."""


def generate(pipeline: Pipeline) -> Data:
    """The declaration by names; roles and stores, which we do not know, are missing."""
    spelled = pipeline.codepipeline.spelled_out if pipeline.codepipeline else []
    referred = _referred(pipeline)
    stages = {
        name: _stage(stage, referred, spelled)
        for name, stage in pipeline.stages.items()
    }
    found: Data = {"name": pipeline.pipeline, "stages": stages}
    if pipeline.mode != "superseded":
        found["executionMode"] = pipeline.mode.upper()
    if pipeline.variables:
        found["variables"] = {
            name: {
                **({"defaultValue": each.default} if each.default else {}),
                **({"description": each.description} if each.description else {}),
            }
            for name, each in pipeline.variables.items()
        }
    sources = {
        name: {"uses": action.uses, "with": action.with_}
        for stage in pipeline.stages.values()
        for name, action in stage.actions.items()
        if action.uses.startswith("source/")
    }
    on = pipeline.on.model_dump(mode="json", exclude_unset=True)
    if triggers := their_triggers(on, sources):
        found["triggers"] = triggers
    if _is_v2(pipeline, found):
        found["pipelineType"] = "V2"
    return found


def _stage(stage: Stage, referred: set[str], spelled: list[str]) -> Data:
    found: Data = {
        "actions": {
            name: _action(name, action, referred, spelled)
            for name, action in stage.actions.items()
        }
    }
    for key, condition in (
        ("beforeEntry", stage.before_entry),
        ("onSuccess", stage.on_success),
    ):
        if condition:
            found[key] = {"conditions": _condition(condition)}
    if failure := stage.on_failure:
        found["onFailure"] = _on_failure(failure)
    return found


def _on_failure(failure: OnFailure) -> Data:
    if failure.rules:
        return {"conditions": _condition(failure)}
    found: Data = {"result": failure.result.upper()}
    if failure.retry_mode != "failed_actions":
        found["retryConfiguration"] = {"retryMode": failure.retry_mode.upper()}
    return found


def _condition(condition: Condition | OnFailure) -> Data:
    rules = {name: _rule(rule) for name, rule in condition.rules.items()}
    return {"result": condition.result.upper(), "rules": rules}


def _rule(rule: Rule) -> Data:
    found: Data = {}
    if kind := type_of(rule.uses):
        found["ruleTypeId"] = {
            "category": "Rule",
            "owner": "AWS",
            "provider": kind.provider,
            "version": "1",
        }
    found |= _members(rule)
    if rule.timeout is not None:
        found["timeoutInMinutes"] = _whole(rule.timeout)
    return found


def _action(name: str, action: Action, referred: set[str], spelled: list[str]) -> Data:
    found: Data = {key: EMPTY[key] for key in spelled if key in EMPTY}
    if action.run_order != 1:
        found["runOrder"] = action.run_order
    if kind := _type_id(action):
        found["actionTypeId"] = kind
    found |= _members(action)
    if action.outputs:
        found["outputArtifacts"] = [
            {"name": artifact, **({"files": files} if files else {})}
            for artifact, files in action.outputs.items()
        ]
    own = default_namespace(name)
    namespace = action.namespace or own
    if namespace != own or namespace in referred:
        found["namespace"] = namespace
    if action.timeout is not None:
        found["timeoutInMinutes"] = _whole(action.timeout)
    return found


def _type_id(action: Action) -> Data | None:
    if action.uses.endswith(f"/{CUSTOM}"):
        said = {
            key: action.with_.get(key) for key in ("category", "provider", "version")
        }
        return {"owner": "Custom", **said}
    kind = type_of(action.uses)
    if kind is None:
        return None
    return {
        "category": kind.category,
        "owner": kind.owner,
        "provider": kind.provider,
        "version": "1",
    }


def _members(action: Action | Rule) -> Data:
    """What `with:` and `inputs:` say, in CodePipeline's members."""
    found: Data = theirs(_configured(action.uses, action.with_))
    if names := _inputs(action):
        found["inputArtifacts"] = [{"name": name} for name in names]
    return found


def _configured(uses: str, with_: Data) -> Data:
    if uses in {"build/commands", "rule/commands"}:
        return their_commands(with_)
    if uses == "rule/deployment-window":
        window = their_window(with_)
        return {"configuration": window} if window else {}
    if uses.endswith(f"/{CUSTOM}"):
        given = with_.get("configuration")
        return {"configuration": dict(given)} if given else {}
    found: Data = {}
    kind = type_of(uses)
    configuration = {}
    for name, value in with_.items():
        key = key_of(uses, name)
        if kind is None or key in kind.keys:
            configuration[key] = text_of(value)
        elif name == "region":
            found["region"] = value
        elif name == role_parameter(uses):
            found["roleArn"] = value
        elif name == "commands":
            found["commands"] = value
        elif name == "output_variables":
            found["outputVariables"] = value
        elif name == "environment_variables":
            found["environmentVariables"] = _environment(value)
    return {**({"configuration": configuration} if configuration else {}), **found}


def _environment(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return [{"name": name, "value": text} for name, text in value.items()]


def _inputs(action: Action | Rule) -> list[str]:
    if isinstance(action.inputs, str):
        return [action.inputs]
    return [
        name
        for names in action.inputs.values()
        for name in ([names] if isinstance(names, str) else names)
    ]


def _referred(pipeline: Pipeline) -> set[str]:
    """Namespaces that something refers to."""
    configured: list[Action | Rule] = []
    for stage in pipeline.stages.values():
        configured += stage.actions.values()
        for condition in (stage.before_entry, stage.on_success, stage.on_failure):
            configured += condition.rules.values() if condition else ()
    return {namespace for each in configured for namespace in used(each.with_)}


def _is_v2(pipeline: Pipeline, found: Data) -> bool:
    """Whether only pipelines of type V2 can do all of it."""
    kinds = [
        type_of(action.uses)
        for stage in pipeline.stages.values()
        for action in stage.actions.values()
    ]
    conditions = any(
        stage.keys() & {"beforeEntry", "onSuccess", "onFailure"}
        for stage in found["stages"].values()
    )
    newer = any(kind.v2 for kind in kinds if kind)
    return (
        newer
        or conditions
        or bool(found.keys() & {"executionMode", "variables", "triggers"})
    )


def _whole(minutes: float) -> float | int:
    return int(minutes) if float(minutes).is_integer() else minutes
