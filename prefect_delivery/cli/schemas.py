"""What may be written in a definition: found by name, and told in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from prefect_delivery.definition.catalogue import ActionSpec, Catalogue
from prefect_delivery.errors import Refused

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The schema of a thing, and the thing itself where it is an action."""

    name: str
    schema: Schema
    action: ActionSpec | None = None


def find_schema(name: str | None) -> Found:
    """The schema of an action, of a kind of environment, or of the whole file.

    Raises:
        Refused: There is no action or kind of that name; says what there is.
    """
    catalogue = Catalogue.load()
    if name is None:
        from prefect_delivery.definition.schema import editor_schema

        return Found(name="delivery.yaml", schema=editor_schema(catalogue))
    if action := catalogue.action(name):
        return Found(name=name, schema=action.schema, action=action)
    if kind := catalogue.environment(name):
        return Found(name=name, schema=kind)
    known = [*catalogue.action_names(), *catalogue.environment_kinds()]
    close = get_close_matches(name, known, n=1)
    guess = f"; did you mean '{close[0]}'?" if close else ""
    raise Refused(
        f"no action or environment '{name}'{guess} (there are: {', '.join(known)})",
        hint=f"deliver schema {close[0] if close else known[0]}",
    )


def readable(found: Found) -> str:
    """A schema in words: each key with its type, default and meaning."""
    action = found.action
    lines = [f"{found.name}  {action.summary if action else ''}".rstrip()]
    lines += _keys(found.schema, "with" if action else "keys")
    for name, part in found.schema.get("$defs", {}).items():
        lines += _keys(part, name)
    if action:
        lines += _about(action)
    return "\n".join(lines)


def _keys(schema: Schema, title: str) -> Iterator[str]:
    required = schema.get("required", [])
    properties: dict[str, Schema] = schema.get("properties", {})
    if properties:
        yield f"{title}:"
    for name, part in properties.items():
        if name in required:
            note = "required"
        elif part.get("default") is None:
            note = "optional"
        else:
            note = f"default {part['default']!r}"
        yield f"  {name}: {type_of(part)}, {note}"
        if said := part.get("description"):
            yield f"      {' '.join(said.split())}"


def _about(action: ActionSpec) -> Iterator[str]:
    if action.inputs:
        yield "inputs:"
        for name, spec in action.inputs.items():
            many = "artifacts" if spec.many else "artifact"
            yield f"  {name}: {many}, {'required' if spec.required else 'optional'}"
    yield f"outputs: {_OUTPUTS[action.outputs]}"
    if action.variables:
        yield "variables:"
        yield from (f"  {name}: {what}" for name, what in action.variables.items())


_OUTPUTS = {
    "one": "one artifact, named like the action",
    "files": "artifacts by name, each with glob patterns of its files",
    "none": "none",
}


def type_of(schema: Schema) -> str:
    """The type that a schema asks for, in a few words."""
    if "enum" in schema:
        return " | ".join(map(repr, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        kinds = [type_of(each) for each in branches if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema.get('items', {}))}"
        case "object":
            values = schema.get("additionalProperties")
            return (
                f"name → {type_of(values)}" if isinstance(values, dict) else "mapping"
            )
        case "string":
            return "text"
        case str(kind):
            return kind
        case _:
            return schema["$ref"].rpartition("/")[2] if "$ref" in schema else "anything"
