"""What a declaration says beyond what would be written for it: a merge patch.

Lists of things with names are mappings here, so that a patch finds each by its name.
Source: RFC 7396 (a null takes a key out; a declaration holds no null).
"""

from typing import Any

Data = dict[str, Any]

_CONDITIONS = ("beforeEntry", "onSuccess", "onFailure")


def difference(wanted: Any, given: Any) -> Any:
    """The patch that makes `wanted` of `given`; an empty mapping when they are equal."""
    if not (isinstance(wanted, dict) and isinstance(given, dict)):
        return wanted
    patch: Data = {key: None for key in given if key not in wanted}
    for key, value in wanted.items():
        if key not in given:
            patch[key] = value
        elif value != given[key]:
            patch[key] = difference(value, given[key])
    return patch


def merged(given: Any, patch: Any) -> Any:
    """`given` with a patch applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(given) if isinstance(given, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def by_name(pipeline: Data) -> Data:
    """A declaration whose stages, actions, rules and variables stand by name."""
    found = dict(pipeline)
    found["stages"] = {stage["name"]: _stage(stage) for stage in pipeline["stages"]}
    if "variables" in pipeline:
        found["variables"] = _named(pipeline["variables"])
    return found


def listed(pipeline: Data) -> Data:
    """The declaration again, as CodePipeline writes it."""
    found = dict(pipeline)
    found["stages"] = [
        {"name": name, **_listed_stage(stage)}
        for name, stage in pipeline["stages"].items()
    ]
    if "variables" in pipeline:
        found["variables"] = _unnamed(pipeline["variables"])
    return found


def _stage(stage: Data) -> Data:
    found = {key: value for key, value in stage.items() if key != "name"}
    found["actions"] = _named(stage["actions"])
    for when in _CONDITIONS:
        if when in stage and "conditions" in stage[when]:
            (condition,) = stage[when]["conditions"]
            rules = {"rules": _named(condition.get("rules", []))}
            found[when] = {**stage[when], "conditions": {**condition, **rules}}
    return found


def _listed_stage(stage: Data) -> Data:
    found = {**stage, "actions": _unnamed(stage["actions"])}
    for when in _CONDITIONS:
        if when in stage and "conditions" in stage[when]:
            condition = stage[when]["conditions"]
            rules = {"rules": _unnamed(condition["rules"])}
            found[when] = {**stage[when], "conditions": [{**condition, **rules}]}
    return found


def _named(parts: list[Data]) -> Data:
    return {
        part["name"]: {key: value for key, value in part.items() if key != "name"}
        for part in parts
    }


def _unnamed(parts: Data) -> list[Data]:
    return [{"name": name, **part} for name, part in parts.items()]
