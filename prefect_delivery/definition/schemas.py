"""Checks a value against a JSON schema, in words a person would use."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from prefect_delivery.definition.findings import Path, listed, meant, named
from prefect_delivery.definition.shape import kind_of, quoting

NO_VARIABLES = "x-no-variables"
"""Marks text in which `#{...}` is refused: lines for a shell, or what it names."""

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters long",
    "maxLength": "at most {} characters long",
    "minItems": "a list of at least {}",
    "maxItems": "a list of at most {}",
    "minProperties": "a mapping of at least {}",
    "maxProperties": "a mapping of at most {}",
}
_TEXT_RULES = ("type", "enum", "const", "pattern", "format", "minLength", "maxLength")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """What is wrong with a part of a value; `key` when it is the key itself."""

    path: Path
    message: str
    key: bool = False


def violations(value: object, schema: dict[str, Any]) -> Iterator[Violation]:
    """What is wrong with `value`.

    Text that uses a variable is accepted wherever a single value may stand, since what
    it will be is known later.
    """
    for error in _validator()(schema).iter_errors(value):
        yield from _told(error)


@cache
def _validator() -> Any:
    # Imported on demand: it costs a tenth of a second.
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def tolerant(rule: Any) -> Any:
        def check(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
            if not (_uses_variable(value) and _takes_single(schema)):
                yield from rule(validator, wanted, value, schema) or ()

        return check

    def no_variables(_: Any, wanted: bool | str, value: Any, schema: Any) -> Any:
        if wanted and _uses_variable(value):
            yield ValidationError("a shell line must not hold a variable")

    def formatted(_: Any, wanted: str, value: Any, schema: Any) -> Any:
        if isinstance(value, str) and (problem := _format_problem(wanted, value)):
            yield ValidationError(problem)

    rules = {
        name: tolerant(Draft202012Validator.VALIDATORS[name]) for name in _TEXT_RULES
    }
    rules[NO_VARIABLES] = no_variables
    rules["format"] = tolerant(formatted)
    return extend(Draft202012Validator, rules)  # type: ignore[no-untyped-call]  # upstream


def _format_problem(kind: str, value: str) -> str | None:
    from prefect_delivery.definition.triggers import cron_problem, time_zone_problem

    if kind == "window-cron" and len(value.split()) in {6, 7}:
        return None  # Quartz's, which the rule itself reads
    checks = {
        "cron": cron_problem,
        "window-cron": cron_problem,
        "time-zone": time_zone_problem,
    }
    return checks[kind](value) if kind in checks else None


def _uses_variable(value: object) -> bool:
    return isinstance(value, str) and "#{" in value


def _takes_single(schema: dict[str, Any]) -> bool:
    types = schema.get("type", "string")
    return bool(
        {types} - {"array", "object", "null"}
        if isinstance(types, str)
        else set(types) - {"array", "object", "null"}
    )


def _told(error: Any) -> Iterator[Violation]:
    path, rule, wanted = (
        tuple(error.absolute_path),
        error.validator,
        error.validator_value,
    )
    label = _label(path)
    match rule:
        case "additionalProperties" if wanted is False:
            known = list(error.schema.get("properties", {}))
            for name in error.instance:
                if name not in known:
                    message = f"unknown key {named(name)}{meant(name, known)}"
                    yield Violation(path=(*path, name), message=message, key=True)
            return
        case "required":
            message = f"{error.message.split(' is a required')[0]} is missing"
        case "type":
            message = f"{label} {_must_be(error.instance, wanted)}"
        case "enum" | "const":
            allowed = [str(each) for each in (wanted if rule == "enum" else [wanted])]
            message = f"{label} must be {listed(allowed)}, not {named(error.instance)}"
            message += meant(str(error.instance), allowed)
        case "anyOf" | "oneOf":
            yield from _branches_told(error)
            return
        case "x-no-variables" if wanted is not True:
            message = f"{label} names a {wanted}, so it must not hold a variable"
        case "x-no-variables":
            message = (
                f"{label} holds a variable in a line for a shell; pass it by "
                "'environment:' and write \"$NAME\""
            )
        case "format":
            message = error.message
        case "pattern":
            message = f"{label} does not have the form {wanted}"
        case name if name in _LIMITS:
            message = f"{label} must be {_LIMITS[name].format(wanted)}"
        case _:
            message = f"{label}: {error.message[:200]}"
    yield Violation(path=path, message=message)


def _branches_told(error: Any) -> Iterator[Violation]:
    """Tells what the branch lacks that got furthest; else what the branches take."""
    depth = len(error.absolute_path)
    deeper = [
        each
        for each in error.context
        if len(each.absolute_path) > depth or each.validator != "type"
    ]
    if deeper:
        branch = max(deeper, key=lambda each: len(each.absolute_path)).schema_path[0]
        for each in deeper:
            if each.schema_path[0] == branch:
                yield from _told(each)
        return
    types = [name for each in error.context for name in _as_list(each.validator_value)]
    path = tuple(error.absolute_path)
    message = f"{_label(path)} {_must_be(error.instance, types)}"
    yield Violation(path=path, message=message)


def _must_be(value: object, types: str | list[str]) -> str:
    names = [name for name in _as_list(types) if name != "null"] or ["null"]
    wanted = " or ".join(_TYPES.get(name, name) for name in dict.fromkeys(names))
    return f"must be {wanted}, not {kind_of(value)}{quoting(value, wanted)}"


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _label(path: Path) -> str:
    match path:
        case ():
            return "the configuration"
        case (*_, str(name), int(index)):
            return f"item {index + 1} of {named(name)}"
        case _:
            return named(path[-1])
