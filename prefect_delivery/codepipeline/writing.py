"""An imported definition as a file that people read and keep."""

import io
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from prefect_delivery.codepipeline.exchange import Imported
from prefect_delivery.codepipeline.names import OWN, type_of
from prefect_delivery.codepipeline.start import unsaid_filters
from prefect_delivery.definition.findings import listed, named
from prefect_delivery.definition.models import Pipeline

Data = dict[str, Any]

_SIMPLE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "off", "y", "n"}
_KEPT = """\
# What only CodePipeline knows. `deliver export` merges it over what it writes; a null
# takes a key out. Nothing here changes what a run does.
"""


def definition_text(imported: Imported, source: str) -> str:
    """The definition as YAML, with comments on what differs from CodePipeline.

    Args:
        source: Name of the file that it comes from.
    """
    data = dict(imported.data)
    kept = data.pop("codepipeline")
    head = [f"# Imported from {named(source)[1:-1]}, a CodePipeline declaration."]
    head += [f"# - {note}" for note in notes(imported)]
    return "\n".join([*head, _yaml(data) + _KEPT + _yaml({"codepipeline": kept})])


def notes(imported: Imported) -> Iterator[str]:
    """What differs here from what CodePipeline does, each in a line."""
    pipeline, declared = imported.pipeline, imported.declaration.pipeline
    missing = pipeline.codepipeline.only_there if pipeline.codepipeline else []
    if missing:
        yield f"not installed here, so a run stops there: {listed(missing, last='and')}"
    if number := unsaid_filters(declared):
        yield f"{number} trigger filters of further sources stay under 'codepipeline'"
    elif not pipeline.on.model_fields_set:
        yield "nothing starts it by itself; what starts it there stands elsewhere"
    yield from _notes_on_actions(pipeline)
    yield from _left_over(imported)
    for warning in imported.declaration.warnings:
        yield warning.message


def _notes_on_actions(pipeline: Pipeline) -> Iterator[str]:
    for stage, spec in pipeline.stages.items():
        for name, action in spec.actions.items():
            place = named(f"{stage} / {name}")
            if action.uses == "build/commands":
                yield f"{place} runs on the worker; 'image' names a container instead"
            for variable, block in action.with_.get("secrets", {}).items():
                yield (
                    f"{place} wants the secret {named(variable)} in the Prefect block "
                    f"{named(block)}"
                )
            kind = type_of(action.uses)
            if kind and kind.ended:
                yield f"{place}: AWS has ended {kind.provider}"
            if OWN in action.uses:
                yield f"{place} does what no action of ours does"


def _left_over(imported: Imported) -> Iterator[str]:
    """Configuration that has no parameter here."""
    patch = imported.data["codepipeline"]["declaration"]
    for stage, spec in patch.get("stages", {}).items():
        for name, action in spec.get("actions", {}).items():
            keys = action.get("configuration") or {}
            unused = [key for key, value in keys.items() if value is not None]
            if unused:
                place = named(f"{stage} / {name}")
                yield f"{place}: no counterpart here for {listed(unused)}"


def _yaml(data: Data) -> str:
    yaml = YAML()
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.default_flow_style = False
    yaml.representer.add_representer(
        type(None),
        lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null"),
    )
    out = io.StringIO()
    yaml.dump(_plain(data), out)
    return out.getvalue()


def _plain(value: Any) -> Any:
    """Data with its text quoted where a reader might take it for something else."""
    match value:
        case dict():
            return {_text(key): _plain(part) for key, part in value.items()}
        case list():
            return [_plain(part) for part in value]
        case str():
            return _text(value)
        case _:
            return value


def _text(text: str) -> Any:
    """Text as it is, in quotes, or as a block of lines."""
    if _is_block(text):
        return LiteralScalarString(text)
    simple = _SIMPLE.fullmatch(text) and text.lower() not in _WORDS
    return text if simple else DoubleQuotedScalarString(text)


def _is_block(text: str) -> bool:
    """Whether text reads well, and the same, as a block of lines."""
    lines = text.split("\n")
    return (
        len(lines) > 2
        and text.endswith("\n")
        and not text.endswith("\n\n")
        and text[0] not in " \t\n"
        and all(
            (char.isprintable() and char.isascii()) or char == "\n" for char in text
        )
        and not any(line.endswith(" ") for line in lines)
    )
