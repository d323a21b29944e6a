"""Relative paths of a definition's file, made absolute.

As in a compose file they are relative to the file, not to wherever a command is typed:
a retry from another folder deploys to the same place.
"""

from pathlib import Path
from typing import Any

from prefect_delivery.definition.catalogue import Catalogue, Schema
from prefect_delivery.definition.models import Action, Pipeline, Stage
from prefect_delivery.definition.normal import Specs


def anchored(
    pipeline: Pipeline, specs: Specs, catalogue: Catalogue, folder: Path
) -> Pipeline:
    """The pipeline with paths that start at `folder`.

    Which values are paths is in the schemas: `path` as format, or `address` for what
    may be a URL as well and counts as a path when it starts with a dot.
    """

    def action(spec: Action) -> Action:
        found = specs.get(spec.uses)
        with_ = _anchored(spec.with_, found.schema if found else {}, folder)
        return spec.model_copy(update={"with_": with_})

    def stage(spec: Stage) -> Stage:
        actions = {name: action(each) for name, each in spec.actions.items()}
        return spec.model_copy(update={"actions": actions})

    def environment(configuration: dict[str, Any]) -> dict[str, Any]:
        schema = catalogue.environment(str(configuration.get("kind"))) or {}
        return _anchored(configuration, schema, folder)

    return pipeline.model_copy(
        update={
            "stages": {name: stage(each) for name, each in pipeline.stages.items()},
            "environments": {
                name: environment(each) for name, each in pipeline.environments.items()
            },
        }
    )


def _anchored(values: dict[str, Any], schema: Schema, folder: Path) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {
        name: _place(value, properties.get(name, {}).get("format"), folder)
        for name, value in values.items()
    }


def _place(value: Any, kind: str | None, folder: Path) -> Any:
    if not isinstance(value, str) or value.startswith("#{"):
        return value
    first = value.partition("/")[0]
    if kind == "path" or (kind == "address" and first in {".", ".."}):
        return str((folder / Path(value).expanduser()).resolve())
    return value
