"""Pipelines in a file of any kind, as our definitions."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_delivery.codepipeline.kinds import Kind, kind_of, read_any
from prefect_delivery.definition.loader import load, load_file, text_of
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import DefinitionError, Problem, Refused

if TYPE_CHECKING:
    # What reads other kinds of files is imported when there is one.
    from prefect_delivery.codepipeline.declaration import Declaration


def read_pipeline(path: Path) -> Pipeline:
    """The pipeline in a file: a definition, a declaration or a template.

    Raises:
        DefinitionError: What the file says is wrong, or no pipeline is in it.
        Refused: Several pipelines are in it.
    """
    if kind_of(text_of(path), path.name) is Kind.NATIVE:
        return load_file(path)
    return _imported(path, folder=path.resolve().parent)


def read_unplaced(path: Path) -> Pipeline:
    """As `read_pipeline`, with relative paths as they are written.

    Raises:
        DefinitionError: What the file says is wrong, or no pipeline is in it.
        Refused: Several pipelines are in it.
    """
    text = text_of(path)
    if kind_of(text, path.name) is Kind.NATIVE:
        return load(text, file=str(path))
    return _imported(path)


def declarations_in(
    path: Path, parameters: Mapping[str, str] | None = None
) -> "dict[str, Declaration]":
    """CodePipeline's declarations in a file, by logical id or pipeline name.

    Args:
        parameters: Values for a template's parameters.

    Raises:
        DefinitionError: The file or one of them is wrong, or there cannot be any.
    """
    from prefect_delivery.codepipeline.declaration import read_declaration
    from prefect_delivery.codepipeline.template import pipelines_in

    text = text_of(path)
    kind = kind_of(text, path.name)
    if kind is Kind.DECLARATION:
        declaration = read_declaration(read_any(text, str(path)))
        return {str(declaration.pipeline["name"]): declaration}
    if kind is Kind.TEMPLATE:
        return pipelines_in(read_any(text, str(path)), parameters)
    message = f"this is a {kind.value}; no CodePipeline declaration is in it"
    raise DefinitionError([Problem(message=message, file=str(path), line=1)])


def the_one(
    found: "dict[str, Declaration]", path: Path, name: str | None = None
) -> "Declaration":
    """The declaration that is meant.

    Args:
        name: Its logical id or the pipeline's name; may be left out for the only one.

    Raises:
        Refused: There is none, or it is not clear which.
    """
    by_name = {**{str(d.pipeline["name"]): d for d in found.values()}, **found}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in by_name:
        return by_name[name]
    if not found:
        raise Refused(f"no pipeline is in {path}", hint=f"deliver validate {path}")
    known = ", ".join(found)
    problem = (
        f"no pipeline '{name}' is in {path}" if name else f"which pipeline of {path}?"
    )
    raise Refused(
        f"{problem} (there are: {known})",
        hint=f"deliver import {path} --pipeline {next(iter(found))}",
    )


def _imported(path: Path, folder: Path | None = None) -> Pipeline:
    from prefect_delivery.codepipeline.exchange import import_declaration

    return import_declaration(
        the_one(declarations_in(path), path), folder=folder
    ).pipeline
