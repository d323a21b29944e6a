"""What a task's signature says about the action: configuration, inputs, outputs."""

import inspect
import operator
import types
from functools import reduce
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from prefect import Task
from prefect.blocks.core import Block
from prefect.utilities.callables import parameter_docstrings
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import model_json_schema

from prefect_delivery.actions import (
    ACTION,
    CACHEABLE,
    VARIABLES,
    Artifact,
    Job,
    Patterns,
)
from prefect_delivery.definition.catalogue import ActionSpec, InputSpec, Schema

_INPUTS: dict[Any, dict[str, bool]] = {
    Artifact: {},
    list[Artifact]: {"many": True},
    dict[str, Artifact]: {"many": True, "by_name": True},
}


def spec_of(action: Task[..., Any], *, task: str) -> ActionSpec:
    """What an action takes and leaves.

    Args:
        action: A task made by `@action`.
        task: Where it is found, as `module:name`.
    """
    name: str = getattr(action, ACTION, action.name)
    text = inspect.getdoc(action.fn) or ""
    parameters = _parameters(action)
    told = {
        key: " ".join(text.split()) for key, text in parameter_docstrings(text).items()
    }
    return ActionSpec(
        name=name,
        task=task,
        summary=text.partition("\n")[0],
        description=_description(text),
        schema=_schema(name, parameters, told),
        inputs=_inputs(parameters, told),
        outputs=_outputs(name, parameters),
        variables=dict(getattr(action, VARIABLES, {})),
        cacheable=getattr(action, CACHEABLE, False),
    )


def environment_schema(block: type[Block]) -> Schema:
    """JSON schema of what a definition may say of an environment of this kind."""
    return model_schema(block)


def model_schema(model: type[BaseModel]) -> Schema:
    """JSON schema of what a definition may say of a model's fields."""
    # Prefect's own version of the method drops what closes a nested mapping.
    schema = model_json_schema(model)
    kept = ("type", "description", "properties", "required", "$defs")
    found: Schema = {key: schema[key] for key in kept if key in schema}
    found["additionalProperties"] = False
    return _without_titles(found)


def _parameters(action: Task[..., Any]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(action.fn, include_extras=True)
    return {
        name: parameter.replace(annotation=hints.get(name, Any))
        for name, parameter in inspect.signature(action.fn).parameters.items()
        if hints.get(name) is not Job
    }


def _inputs(
    parameters: dict[str, inspect.Parameter], told: dict[str, str]
) -> dict[str, InputSpec]:
    return {
        name: InputSpec(
            required=parameter.default is parameter.empty,
            description=told.get(name, ""),
            **kind,
        )
        for name, parameter in parameters.items()
        if (kind := _input_kind(parameter.annotation)) is not None
    }


def _input_kind(annotation: Any) -> dict[str, bool] | None:
    found = [_INPUTS[branch] for branch in _branches(annotation) if branch in _INPUTS]
    return found[0] if found else None


def _outputs(
    name: str, parameters: dict[str, inspect.Parameter]
) -> Literal["one", "files", "none"]:
    if name.startswith("source/"):
        return "one"
    return "files" if _is_outputs(parameters.get("outputs")) else "none"


def _is_outputs(parameter: inspect.Parameter | None) -> bool:
    return parameter is not None and (
        parameter.name == "outputs" and parameter.annotation == Patterns
    )


def _schema(
    name: str, parameters: dict[str, inspect.Parameter], told: dict[str, str]
) -> Schema:
    # Fields get a prefix, as a parameter may be called like a method of the model.
    fields: dict[str, Any] = {
        f"with_{key}": (
            plain,
            Field(
                default=...
                if parameter.default is parameter.empty
                else parameter.default,
                alias=key,
                description=told.get(key),
            ),
        )
        for key, parameter in parameters.items()
        if _input_kind(parameter.annotation) is None
        and not _is_outputs(parameter)
        and (plain := _plain(parameter.annotation)) is not None
    }
    model: type[BaseModel] = create_model(
        name, __config__=ConfigDict(extra="forbid"), **fields
    )
    schema = _without_titles(model_json_schema(model))
    schema.setdefault("properties", {})
    return schema


def _plain(annotation: Any) -> Any:
    """The part of an annotation that JSON can say; None when there is none."""
    branches = _branches(annotation)
    kept = [branch for branch in branches if _is_plain(branch)]
    if all(branch is types.NoneType for branch in kept):
        return None
    return annotation if len(kept) == len(branches) else reduce(operator.or_, kept)


def _is_plain(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return False
    try:
        TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError):
        return False
    return True


def _branches(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated and get_origin(get_args(annotation)[0]) in {
        Union,
        types.UnionType,
    }:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, types.UnionType}:
        return get_args(annotation)
    return (annotation,)


def _without_titles(schema: Schema) -> Schema:
    """The schema without the titles that pydantic makes of every name."""
    cleaned: Schema = _cleaned(schema)
    return cleaned


def _cleaned(schema: Any) -> Any:
    match schema:
        case dict():
            return {
                key: {name: _cleaned(each) for name, each in value.items()}
                if key in {"properties", "$defs"}
                else value
                if key in {"default", "examples", "enum", "const"}
                else _cleaned(value)
                for key, value in schema.items()
                if key != "title"
            }
        case list():
            return [_cleaned(each) for each in schema]
        case _:
            return schema


def _description(docstring: str) -> str:
    """What a docstring says between its first line and its sections."""
    paragraphs = docstring.split("\n\n")[1:]
    sections = ("Args:", "Returns:", "Raises:", "Source:", "Example:", "Examples:")
    kept: list[str] = []
    for paragraph in paragraphs:
        if paragraph.startswith(sections):
            break
        kept.append(" ".join(paragraph.split()))
    return "\n\n".join(kept)
