"""Configuration values: text in CodePipeline, typed where a task's schema says so."""

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def typed(text: str, schema: Schema) -> Any:
    """The value that a text stands for; the text itself where it is no such value.

    Args:
        schema: JSON schema of the parameter that takes it.
    """
    if "#{" in text:
        return text
    for kind in _kinds(schema):
        match kind:
            case "boolean" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case "integer" if text.lstrip("-").isdecimal():
                return int(text)
            case "number" if (number := _number(text)) is not None:
                return number
            case "array" | "object":
                value = _json(text)
                if isinstance(value, list if kind == "array" else dict):
                    return value
                if kind == "array":
                    return [part.strip() for part in text.split(",") if part.strip()]
            case _:
                pass
    return text


def text_of(value: Any) -> str:
    """A typed value as CodePipeline writes it."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case list() if all(isinstance(part, str) and "," not in part for part in value):
            return ",".join(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return json.dumps(value)


def _kinds(schema: Schema) -> list[str]:
    branches = schema.get("anyOf") or schema.get("oneOf") or [schema]
    kinds = [str(each.get("type")) for each in branches]
    return [] if "string" in kinds else kinds


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number not in (float("inf"), float("-inf")) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
