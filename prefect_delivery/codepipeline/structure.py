"""Rules of CodePipeline that its service model cannot say.

Source: CodePipeline user guide, "Pipeline structure reference", "Stage conditions",
"Variables", "Triggers" and "Quotas".
"""

from collections.abc import Iterator
from typing import Any

from prefect_delivery.codepipeline.names import type_of, uses_of
from prefect_delivery.codepipeline.service_model import Checked
from prefect_delivery.definition.findings import Path, listed, meant, named
from prefect_delivery.masking import SECRET_KEYS, is_literal_secret

WHENS = ("beforeEntry", "onSuccess", "onFailure")
_RESULTS = {
    "beforeEntry": ("FAIL", "SKIP"),
    "onSuccess": ("FAIL", "ROLLBACK"),
    "onFailure": ("ROLLBACK", "RETRY", "FAIL", "SKIP"),
}
_SKIPPING = {"LambdaInvoke", "VariableCheck"}
MOST_ACTIONS = 50

Data = dict[str, Any]


def check_structure(pipeline: Data, root: Path, found: Checked) -> None:
    """Check a declaration whose shape is right.

    Args:
        root: Where it stands in its file.
    """
    _check_stores(pipeline, root, found)
    _check_stages(pipeline, root, found)
    _check_names(pipeline, root, found)
    _check_artifacts(pipeline, root, found)
    _check_triggers(pipeline, root, found)
    for index, stage in enumerate(pipeline["stages"]):
        path = (*root, "stages", index)
        for when in WHENS:
            if when in stage:
                parallel = pipeline.get("executionMode") == "PARALLEL"
                _check_condition(stage[when], when, parallel, (*path, when), found)
    for path, action in actions(pipeline, root):
        _check_action(action, path, found)
    _check_variables(pipeline, root, found)


def actions(pipeline: Data, root: Path = ()) -> Iterator[tuple[Path, Data]]:
    """Every action with its place."""
    for index, stage in enumerate(pipeline["stages"]):
        for number, action in enumerate(stage["actions"]):
            yield (*root, "stages", index, "actions", number), action


def action_uses(action: Data) -> str:
    """What our definition calls an action."""
    kind = action["actionTypeId"]
    name = str(kind["provider"]).removeprefix("AWS ")
    return uses_of(kind["category"], kind["owner"], name)


def _check_stores(pipeline: Data, root: Path, found: Checked) -> None:
    if "artifactStore" in pipeline and "artifactStores" in pipeline:
        message = (
            "'artifactStore' and 'artifactStores' are given; one of them is allowed"
        )
        found.error((*root, "artifactStores"), message, key=True)
    elif "artifactStore" not in pipeline and "artifactStores" not in pipeline:
        found.error((*root, "artifactStore"), "'artifactStore' is missing", key=True)
    elif "artifactStores" in pipeline:
        regions = pipeline["artifactStores"]
        for path, action in actions(pipeline, root):
            region = action.get("region")
            if region and region not in regions:
                message = f"region {named(region)} has no store in 'artifactStores'"
                found.error((*path, "region"), message)


def _check_stages(pipeline: Data, root: Path, found: Checked) -> None:
    stages = pipeline["stages"]
    path = (*root, "stages")
    if len(stages) < 2:
        message = f"a pipeline has at least two stages, not {len(stages)}"
        found.error(path, message, key=True)
        return
    if len(stages) > 50:
        found.error(path, f"a pipeline has at most 50 stages, not {len(stages)}")
    for index, stage in enumerate(stages):
        place = (*path, index, "actions")
        if not stage["actions"]:
            found.error(place, f"stage {named(stage['name'])} has no action", key=True)
        elif len(stage["actions"]) > MOST_ACTIONS:
            found.error(place, f"a stage has at most {MOST_ACTIONS} actions")
    for at, action in actions(pipeline, root):
        is_source = action["actionTypeId"]["category"] == "Source"
        if is_source != (at[len(root) + 1] == 0):
            where = (*at, "actionTypeId", "category")
            label = named(action["name"])
            message = f"action {label} is no source; the first stage holds sources only"
            if is_source:
                message = f"source {label} must stand in the first stage"
            found.error(where, message)


def _check_names(pipeline: Data, root: Path, found: Checked) -> None:
    _unique(
        "stage",
        [
            ((*root, "stages", n, "name"), stage["name"])
            for n, stage in enumerate(pipeline["stages"])
        ],
        found,
    )
    for index, stage in enumerate(pipeline["stages"]):
        at = (*root, "stages", index)
        named_actions = [
            ((*at, "actions", number, "name"), action["name"])
            for number, action in enumerate(stage["actions"])
        ]
        _unique("action", named_actions, found)
        for when in WHENS:
            for number, condition in enumerate(
                stage.get(when, {}).get("conditions", [])
            ):
                rules = [
                    (
                        (*at, when, "conditions", number, "rules", n, "name"),
                        rule["name"],
                    )
                    for n, rule in enumerate(condition.get("rules", []))
                ]
                _unique("rule", rules, found)
    _unique(
        "variable",
        [
            ((*root, "variables", n, "name"), each["name"])
            for n, each in enumerate(pipeline.get("variables", []))
        ],
        found,
    )
    spaces = [
        ((*path, "namespace"), action["namespace"])
        for path, action in actions(pipeline, root)
        if "namespace" in action
    ]
    _unique("namespace", spaces, found)
    for place, name in spaces:
        if name == "codepipeline" or (name == "variables" and "variables" in pipeline):
            found.error(place, f"namespace {named(name)} is reserved")


def _unique(what: str, names: list[tuple[Path, str]], found: Checked) -> None:
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            found.error(path, f"{what} {named(name)} is declared twice")
        seen.add(name)


def _check_artifacts(pipeline: Data, root: Path, found: Checked) -> None:
    made: dict[str, tuple[int, int]] = {}
    for path, action in actions(pipeline, root):
        when = (int(path[len(root) + 1]), action.get("runOrder", 1))
        for index, artifact in enumerate(action.get("outputArtifacts", [])):
            name = artifact["name"]
            if name in made:
                place = (*path, "outputArtifacts", index, "name")
                found.error(place, f"artifact {named(name)} is an output twice")
            made.setdefault(name, when)
    for path, action in actions(pipeline, root):
        when = (int(path[len(root) + 1]), action.get("runOrder", 1))
        _check_inputs(action, made, when, path, found)
    for index, stage in enumerate(pipeline["stages"]):
        for when_asked in WHENS:
            conditions = stage.get(when_asked, {}).get("conditions", [])
            # What the stage itself leaves is there once its actions have ended.
            order = 0 if when_asked == "beforeEntry" else 1000
            for number, condition in enumerate(conditions):
                for n, rule in enumerate(condition.get("rules", [])):
                    at = (*root, "stages", index, when_asked, "conditions", number)
                    _check_inputs(rule, made, (index, order), (*at, "rules", n), found)


def _check_inputs(
    action: Data,
    made: dict[str, tuple[int, int]],
    when: tuple[int, int],
    path: Path,
    found: Checked,
) -> None:
    for index, artifact in enumerate(action.get("inputArtifacts", [])):
        name = artifact["name"]
        place = (*path, "inputArtifacts", index, "name")
        if name not in made:
            message = f"no action has the output artifact {named(name)}"
            found.error(place, message + meant(name, made))
        elif made[name] >= when:
            message = f"artifact {named(name)} does not come from an earlier action"
            found.error(place, message)


def _check_condition(
    condition: Data, when: str, parallel: bool, path: Path, found: Checked
) -> None:
    results = (
        [((*path, "result"), condition["result"])] if "result" in condition else []
    )
    for index, each in enumerate(condition.get("conditions", [])):
        place = (*path, "conditions", index)
        if "result" in each:
            results.append(((*place, "result"), each["result"]))
        if not each.get("rules"):
            found.error(
                (*place, "rules"), f"the condition of {named(when)} has no rules"
            )
        if each.get("result") == "SKIP":
            for number, rule in enumerate(each.get("rules", [])):
                provider = rule["ruleTypeId"]["provider"]
                if provider not in _SKIPPING:
                    at = (*place, "rules", number, "ruleTypeId", "provider")
                    message = (
                        f"SKIP allows the rules {listed(sorted(_SKIPPING), last='and')}"
                    )
                    found.error(at, f"{message}, not {named(provider)}")
    for place, result in results:
        if result not in _RESULTS[when]:
            allowed = listed(_RESULTS[when])
            found.error(
                place, f"the result of {named(when)} is {allowed}, not {named(result)}"
            )
        if parallel and result == "ROLLBACK":
            found.error(place, "a pipeline in mode PARALLEL cannot roll back")
    if condition.get("result") == "RETRY" and condition.get("conditions"):
        message = "a RETRY takes no conditions"
        found.error((*path, "conditions"), message, key=True)


def _check_action(action: Data, path: Path, found: Checked) -> None:
    label = named(action["name"])
    kind = action["actionTypeId"]
    uses = action_uses(action)
    if "timeoutInMinutes" in action and kind["category"] != "Approval":
        found.error(
            (*path, "timeoutInMinutes"),
            f"action {label}: only a manual approval has a timeout",
            key=True,
        )
    if uses == "build/commands" and not action.get("commands"):
        found.error((*path, "commands"), f"action {label} has no commands", key=True)
    known = type_of(uses)
    if known is None or kind["owner"] == "Custom":
        return
    if known.ended:
        found.warn(
            (*path, "actionTypeId"), f"AWS has ended {kind['provider']}; it cannot run"
        )
    configuration = action.get("configuration", {})
    for key in sorted(known.required - configuration.keys()):
        found.warn((*path, "configuration", key), f"{named(key)} is missing in {label}")
    for key in configuration:
        if key not in known.keys:
            close = meant(key, known.keys)
            place = (*path, "configuration", key)
            found.warn(
                place, f"{kind['provider']} does not know {named(key)}{close}", key=True
            )
        elif key in SECRET_KEYS and is_literal_secret(configuration[key]):
            place = (*path, "configuration", key)
            found.warn(place, f"{named(key)} stands here in clear", key=True)
    for side, limits in (("input", known.inputs), ("output", known.outputs)):
        count = len(action.get(f"{side}Artifacts", []))
        if not limits[0] <= count <= limits[1]:
            wanted = (
                str(limits[0]) if limits[0] == limits[1] else "{} to {}".format(*limits)
            )
            message = f"action {label} has {count} {side} artifacts; {kind['provider']} takes {wanted}"
            found.warn((*path, f"{side}Artifacts"), message, key=True)


def _check_variables(pipeline: Data, root: Path, found: Checked) -> None:
    if pipeline.get("pipelineType") == "V1":
        for key in ("variables", "triggers"):
            if pipeline.get(key):
                message = f"{named(key)} make this a pipeline of type V2, not V1"
                found.warn((*root, key), message, key=True)


def _check_triggers(pipeline: Data, root: Path, found: Checked) -> None:
    sources = {
        action["name"]
        for _, action in actions(pipeline)
        if action["actionTypeId"]["category"] == "Source"
    }
    seen: set[str] = set()
    for index, trigger in enumerate(pipeline.get("triggers", [])):
        path = (*root, "triggers", index, "gitConfiguration")
        git = trigger["gitConfiguration"]
        name = git["sourceActionName"]
        place = (*path, "sourceActionName")
        if name not in sources:
            found.error(place, f"no source action {named(name)}{meant(name, sources)}")
        elif name in seen:
            found.error(place, f"source {named(name)} has a trigger already")
        seen.add(name)
        for number, push in enumerate(git.get("push", [])):
            if "tags" in push and push.keys() & {"branches", "filePaths"}:
                message = "a push filter has tags, or branches and file paths"
                found.error((*path, "push", number), message)
            elif "filePaths" in push and "branches" not in push:
                message = "a filter of file paths needs branches as well"
                found.error((*path, "push", number), message)
