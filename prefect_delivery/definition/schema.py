"""The JSON schema of a definition, for editors and for `deliver schema`."""

import json
from typing import Any

from prefect_delivery.definition.catalogue import ActionSpec, Catalogue, Schema
from prefect_delivery.definition.models import Pipeline

_VARIABLE = {"type": "string", "pattern": r"#\{", "description": "A variable."}
_SINGLE = {"integer", "number", "boolean", "string"}


def editor_schema(catalogue: Catalogue) -> Schema:
    """JSON schema of a definition, with the configuration of every known action.

    Actions that are not in the catalogue are allowed, since another package may bring
    them.
    """
    schema = Pipeline.model_json_schema(by_alias=True)
    defs: Schema = schema["$defs"]
    for name, is_rule in (("Action", False), ("Rule", True)):
        specs = [
            spec
            for spec in catalogue.actions.values()
            if (spec.category == "rule") == is_rule
        ]
        _add_actions(defs[name], specs, defs)
    _add_environments(schema["properties"]["environments"], catalogue, defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "prefect-delivery pipeline",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def as_json(data: object) -> str:
    """`data` as text that is the same each time."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _add_actions(model: Schema, specs: list[ActionSpec], defs: Schema) -> None:
    uses = model["properties"]["uses"]
    pattern = {"pattern": uses.pop("pattern")}
    uses["anyOf"] = [{"enum": [spec.name for spec in specs]}, pattern]
    model["allOf"] = [
        {
            "if": {"properties": {"uses": {"const": spec.name}}, "required": ["uses"]},
            "then": _then(spec, defs),
        }
        for spec in specs
    ]


def _then(spec: ActionSpec, defs: Schema) -> Schema:
    schema = _accepting_variables(_hoisted(spec.schema, spec.name, defs))
    required = {"required": ["with"]} if spec.schema.get("required") else {}
    description = {"description": spec.summary} if spec.summary else {}
    return {"properties": {"with": {**schema, **description}}, **required}


def _add_environments(model: Schema, catalogue: Catalogue, defs: Schema) -> None:
    kinds = []
    for kind, schema in catalogue.environments.items():
        hoisted = _hoisted(schema, kind, defs)
        properties = {"kind": {"const": kind}, **hoisted["properties"]}
        kinds.append(
            {
                "if": {"properties": {"kind": {"const": kind}}},
                "then": {**hoisted, "properties": properties},
            }
        )
    known = [{"enum": list(catalogue.environments)}, {"type": "string"}]
    each = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"anyOf": known, "description": "Kind of target."}},
        "allOf": kinds,
    }
    model["patternProperties"] = dict.fromkeys(model["patternProperties"], each)


def _hoisted(schema: Schema, owner: str, defs: Schema) -> Schema:
    """The schema with its own definitions moved to those of the whole."""
    prefix = owner.replace("/", ".") + "."

    def moved(part: Any) -> Any:
        match part:
            case {"$ref": str(ref)}:
                return {**part, "$ref": ref.replace("#/$defs/", f"#/$defs/{prefix}")}
            case dict():
                return {key: moved(value) for key, value in part.items()}
            case list():
                return [moved(each) for each in part]
            case _:
                return part

    for name, definition in schema.get("$defs", {}).items():
        defs[prefix + name] = moved(definition)
    return {key: moved(value) for key, value in schema.items() if key != "$defs"}


def _accepting_variables(schema: Any) -> Any:
    """The schema, with text that uses a variable allowed for every narrower value."""
    match schema:
        case {"type": str(kind), **rest} if kind in _SINGLE:
            narrow = kind != "string" or rest.keys() & {"pattern", "enum", "format"}
            return {"anyOf": [schema, _VARIABLE]} if narrow else schema
        case dict():
            return {
                key: value
                if key in {"default", "enum", "const", "required"}
                else {name: _accepting_variables(each) for name, each in value.items()}
                if key == "properties"
                else _accepting_variables(value)
                for key, value in schema.items()
            }
        case list():
            return [_accepting_variables(each) for each in schema]
        case _:
            return schema
