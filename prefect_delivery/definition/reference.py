"""The reference page of all actions, as Markdown."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from prefect_delivery.definition.catalogue import ActionSpec, Catalogue, Schema

_HEAD = """\
# Actions

What may stand after `uses:` in a pipeline definition. This page is generated from the
signatures of the tasks; `deliver schema CATEGORY/PROVIDER` shows the same for one
action, also for those that other packages bring.
"""

_OUTPUTS = {
    "one": "One artifact, the whole tree; by default it has the action's name.",
    "files": "Artifacts by name under `outputs:`, each with the patterns of its files.",
    "none": "No artifact.",
}
_TYPES = {"string": "text", "array": "list", "object": "mapping", "boolean": "yes/no"}
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}


def reference_page(catalogue: Catalogue) -> str:
    """All actions of a catalogue, and the kinds of environments."""
    parts = [_HEAD]
    for category in _in_order({spec.category for spec in catalogue.actions.values()}):
        parts.append(f"## {category.capitalize()}\n")
        parts += [
            action_reference(spec)
            for spec in catalogue.actions.values()
            if spec.category == category
        ]
    if catalogue.environments:
        parts.append("## Environments\n")
        parts += [
            environment_reference(kind, schema)
            for kind, schema in catalogue.environments.items()
        ]
    return "\n".join(parts)


def action_reference(spec: ActionSpec) -> str:
    """One action: what it does, takes and leaves, with an example."""
    lines = [f"### {spec.name}", "", spec.summary]
    if spec.description:
        lines += ["", spec.description]
    lines += ["", "```yaml", *_example(spec), "```"]
    module, _, function = spec.task.partition(":")
    lines += ["", f"In a flow of your own: `from {module} import {function}`"]
    lines += ["", *_configuration(spec.schema)]
    if spec.inputs:
        told = [(name, _input(each)) for name, each in spec.inputs.items()]
        lines += ["", "**Inputs**", "", *_list(told)]
    lines += ["", f"**Outputs** {_OUTPUTS[spec.outputs]}"]
    if spec.variables:
        lines += ["", "**Variables**", "", *_list(spec.variables.items())]
    return "\n".join(lines) + "\n"


def environment_reference(kind: str, schema: Schema) -> str:
    """One kind of environment, with its fields."""
    description = str(schema.get("description", "")).partition("\n")[0]
    lines = [f"### kind: {kind}", "", description, "", *_configuration(schema)]
    return "\n".join(lines) + "\n"


def _in_order(categories: set[str]) -> list[str]:
    """Categories as they follow each other in a pipeline, others at the end."""
    usual = ["source", "build", "test", "approval", "deploy", "invoke", "rule"]
    return [name for name in usual if name in categories] + sorted(
        categories.difference(usual)
    )


def _configuration(schema: Schema) -> Iterator[str]:
    if not schema["properties"]:
        yield "**Configuration** None."
        return
    yield from _table(schema, schema)
    for name, part in schema.get("$defs", {}).items():
        if part.get("properties"):
            summary = str(part.get("description", "")).partition("\n")[0]
            yield from ("", f"**{name}** {summary}", "", *_table(part, schema))


def _table(schema: Schema, whole: Schema) -> Iterator[str]:
    required = schema.get("required", [])
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, part in schema["properties"].items():
        default = "required" if name in required else _default(part.get("default"))
        meaning = " ".join(str(part.get("description", "")).split())
        cells = (f"`{name}`", _type(part, whole), default, meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: object) -> str:
    return "" if value in (None, "", {}, []) else f"`{json.dumps(value)}`"


def _type(part: Schema, whole: Schema) -> str:
    match part:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            named = whole.get("$defs", {}).get(name, {})
            return name if named.get("properties") else _type(named, whole)
        case {"anyOf": list(branches)} | {"oneOf": list(branches)}:
            types = [
                _type(each, whole) for each in branches if each != {"type": "null"}
            ]
            return " or ".join(dict.fromkeys(types))
        case {"enum": list(values)}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "items": dict(items)}:
            return f"list of {_type(items, whole)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"mapping to {_type(values, whole)}"
        case {"type": str(kind)}:
            limits = [
                how.format(part[key]) for key, how in _BOUNDS.items() if key in part
            ]
            return " ".join([_TYPES.get(kind, kind), ", ".join(limits)]).strip()
        case _:
            return "any"


def _input(spec: Any) -> str:
    count = "a list of artifacts" if spec.many else "one artifact"
    optional = "" if spec.required else ", optional"
    return f"{count}{optional}. {spec.description}".rstrip()


def _list(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in entries:
        yield f"- `{name}`: {text}"


def _example(spec: ActionSpec) -> Iterator[str]:
    yield f"{spec.category}:"
    yield f"  uses: {spec.name}"
    required = spec.schema.get("required", [])
    if required:
        yield "  with:"
        for name in required:
            yield f"    {name}: {_sample(name, spec.schema['properties'][name])}"
    for name, each in spec.inputs.items():
        if each.required:
            artifact = "site" if spec.category == "deploy" else "app"
            yield f"  inputs: {{{name}: {artifact}}}"
            break
    if spec.outputs == "files":
        yield '  outputs: {site: ["dist/**"]}'


def _sample(name: str, part: Schema) -> str:
    match part.get("type"):
        case "array":
            return '["make"]' if name == "commands" else "[...]"
        case "integer" | "number":
            return "1"
        case "object":
            return "{}"
        case _:
            samples = {
                "url": '"."',
                "environment": "production",
                "function": "acme.release:announce",
            }
            return samples.get(name, '"..."')
