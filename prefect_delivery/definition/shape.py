"""From plain data to models, and what is wrong with its shape."""

import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from prefect_delivery.definition.findings import Finding, Path, listed, meant, named
from prefect_delivery.definition.models import Pipeline

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
}
_NAME_RULE = {
    r"^[a-z0-9-]+/[a-z0-9-]+$": "is not of the form category/provider",
    r"^[a-z0-9-]+/[a-z0-9-]{1,200}$": "is not of the form block-type/block-name",
    r"^[A-Za-z0-9.@_-]{1,100}$": "may hold letters, digits and . @ _ - only",
    r"^[A-Za-z0-9_-]{1,100}$": "may hold letters, digits, _ and - only",
    r"^[A-Za-z0-9@_-]{1,100}$": "may hold letters, digits and @ _ - only",
    r"^[A-Za-z0-9@_-]{1,128}$": "may hold letters, digits and @ _ - only",
}


def shaped(data: object) -> tuple[Pipeline | None, list[Finding]]:
    """The data as a pipeline, and what is wrong with it.

    Unknown keys alone do not hide the rest: the pipeline is then what the known keys
    say, so that all other rules can be checked as well.
    """
    try:
        return Pipeline.model_validate(data), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    findings = list(_findings(errors, data))
    if any(error["type"] != "extra_forbidden" for error in errors):
        return None, findings
    known = without(data, [error["loc"] for error in errors])
    return Pipeline.model_validate(known), findings


def without(data: Any, paths: list[Path]) -> Any:
    """The data without what the paths lead to."""
    heads = {path[0] for path in paths}
    gone = {path[0] for path in paths if len(path) == 1}
    if not paths:
        return data
    parts = enumerate(data) if isinstance(data, list) else data.items()
    kept = {
        key: without(value, [path[1:] for path in paths if path[0] == key])
        if key in heads
        else value
        for key, value in parts
        if key not in gone
    }
    return list(kept.values()) if isinstance(data, list) else kept


def _findings(errors: list[ErrorDetails], data: object) -> Iterator[Finding]:
    branches: dict[Path, list[str]] = {}
    placed = [(_path(error["loc"], data), error) for error in errors]
    for path, error in placed:
        if _is_branch(path, error):
            branches.setdefault(path, []).append(_KINDS.get(error["type"], "other"))
        else:
            yield _finding(path, error, data)
    for path, kinds in branches.items():
        # Of a union's branches, the one that got furthest says what was meant.
        if not any(at != path and at[: len(path)] == path for at, _ in placed):
            message = _must_be(path, " or ".join(dict.fromkeys(kinds)), data)
            yield Finding(path=path, message=message)


def _path(loc: Path, data: object) -> Path:
    """`loc` without what names a branch of a union, or what is not there."""
    path: list[str | int] = []
    for part in loc:
        parts = dict(enumerate(data)) if isinstance(data, list) else data
        if isinstance(parts, dict) and part in parts:
            path.append(part)
            data = parts[part]
    return tuple(path)


def _is_branch(path: Path, error: ErrorDetails) -> bool:
    loc = error["loc"]
    beside = error["type"] == "missing" or bool(loc and loc[-1] == "[key]")
    return len(loc) > len(path) + beside


def _finding(path: Path, error: ErrorDetails, data: object) -> Finding:
    match error["type"]:
        case "extra_forbidden":
            known = _known_keys(path[:-1])
            name = str(path[-1])
            message = (
                f"unknown key {named(name)}{_where(path[:-1])}{meant(name, known)}"
            )
            return Finding(path=path, message=message, key=True, hint="deliver schema")
        case "missing":
            name = str(error["loc"][-1])
            message = f"{named(name)} is missing{_where(path)}"
            return Finding(path=path, message=message, key=True, hint="deliver schema")
        case _:
            is_key = error["loc"][-1:] == ("[key]",)
            return Finding(path=path, message=_message(path, error, data), key=is_key)


def _message(path: Path, error: ErrorDetails, data: object) -> str:
    context, value = error.get("ctx", {}), error["input"]
    label = named(path[-1]) if path else "the definition"
    match error["type"]:
        case kind if kind in _KINDS:
            return _must_be(path, _KINDS[kind], data)
        case "string_pattern_mismatch":
            rule = _NAME_RULE.get(context["pattern"], "has a form that is not allowed")
            if isinstance(value, str) and len(value) > 100:
                rule = "is longer than 100 characters"
            return f"{named(value)} {rule}"
        case "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            return (
                f"{label} must be {listed(known)}, not {named(value)}"
                f"{meant(str(value), known)}"
            )
        case "too_short":
            return f"{label} must not be empty"
        case "too_long":
            return (
                f"{label} holds {context['actual_length']} entries; "
                f"at most {context['max_length']} are allowed"
            )
        case _:
            return f"{label}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _must_be(path: Path, wanted: str, data: object) -> str:
    value = data
    for part in path:
        value = value[part]  # type: ignore[index]  # the path was found in this data
    label = named(path[-1]) if path else "the definition"
    return f"{label} must be {wanted}, not {kind_of(value)}{quoting(value, wanted)}"


def kind_of(value: object) -> str:
    """What a person calls this kind of value."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def quoting(value: object, wanted: str) -> str:
    """How to write a number or a truth value where text is wanted."""
    if "text" not in wanted or not isinstance(value, bool | int | float):
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f'; write "{shown}" in quotes'


def _where(path: Path) -> str:
    match path:
        case ("stages", stage, "actions", action, *_):
            return f" in action {named(f'{stage} / {action}')}"
        case ("stages", stage, *_):
            return f" in stage {named(stage)}"
        case (*_, str(part)) | (*_, str(part), int()) if part:
            return f" in {named(part)}"
        case _:
            return ""


def _known_keys(path: Path) -> list[str]:
    """The keys that the model at this path has."""
    shape: Any = Pipeline
    for part in path:
        shape = next(
            (found for branch in _branches(shape) if (found := _step(branch, part))),
            None,
        )
    return [
        field.alias or name
        for model in _models(shape)
        for name, field in model.model_fields.items()
    ]


def _models(shape: Any) -> Iterator[type[BaseModel]]:
    for branch in _branches(shape):
        if get_origin(branch) is list:  # one may stand for a list of one
            yield from _models(get_args(branch)[0])
        elif isinstance(branch, type) and issubclass(branch, BaseModel):
            yield branch


def _step(shape: Any, part: str | int) -> Any:
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        fields: Mapping[str, Any] = {
            field.alias or name: field.annotation
            for name, field in shape.model_fields.items()
        }
        return fields.get(str(part))
    return get_args(shape)[-1] if get_origin(shape) in {dict, list} else None


def _branches(shape: Any) -> tuple[Any, ...]:
    if get_origin(shape) is Annotated:
        return _branches(get_args(shape)[0])
    if get_origin(shape) in {Union, types.UnionType}:
        return tuple(each for part in get_args(shape) for each in _branches(part))
    return (shape,)
