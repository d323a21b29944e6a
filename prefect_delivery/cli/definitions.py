"""Commands on definition files: validate, schema, graph. They start nothing."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from prefect_delivery.cli.codes import OK, USAGE
from prefect_delivery.cli.terminal import Format, clean, complain, write, write_json
from prefect_delivery.definition import Pipeline, load_file
from prefect_delivery.errors import DefinitionError, Problem, Refused

DEFAULT = Path("delivery.yaml")
Output = Annotated[Format, Parameter(name=["--output", "-o"])]


def validate(*files: Path, output: Output = "text") -> int:
    """Check definitions for mistakes.

    All mistakes are shown at once, each at its place.

    For example:

        deliver validate
        deliver validate services/*/delivery.yaml

    Args:
        files: Definitions; delivery.yaml by default.
        output: `json` for programs.

    Returns:
        0 when all are right, else 2.
    """
    checked = {file: _check(file) for file in files or (DEFAULT,)}
    if output == "json":
        write_json([_as_data(file, result) for file, result in checked.items()])
    else:
        for file, result in checked.items():
            _tell(file, result, named=len(checked) > 1)
    right = all(isinstance(result, Pipeline) for result in checked.values())
    return OK if right else USAGE


def schema(uses: str | None = None, /, *, output: Output = "text") -> int:
    """Show what may be written in a definition.

    For example:

        deliver schema                    # JSON schema of the whole file, for editors
        deliver schema build/commands     # one action, to read
        deliver schema build/commands -o json

    Args:
        uses: An action, or the kind of an environment; the whole file by default.
        output: `json` for programs; the whole file's schema always is.
    """
    from prefect_delivery.cli.schemas import find_schema, readable

    found = find_schema(uses)
    if uses is None or output == "json":
        write_json(found.schema)
    else:
        write(clean(readable(found)))
    return OK


def graph(
    file: Path = DEFAULT,
    /,
    *,
    format: Literal["ascii", "mermaid", "svg"] = "ascii",
) -> int:
    """Draw the stages of a definition.

    For example:

        deliver graph
        deliver graph --format svg > stages.svg

    Args:
        file: The definition.
        format: `mermaid` for Markdown pages, `svg` for all others.
    """
    from prefect_delivery.cli.graphs import ascii_graph, mermaid_graph

    definition = load_file(file)
    match format:
        case "ascii":
            write(ascii_graph(definition))
        case "mermaid":
            write(mermaid_graph(definition))
        case "svg":
            from prefect_delivery.picture import stage_picture

            write(stage_picture(definition).rstrip())
    return OK


def find_definition(target: str | None) -> Pipeline | None:
    """The definition in a file: the one named, or delivery.yaml; None for a name.

    Raises:
        DefinitionError: The file is written wrongly, or is not there.
    """
    if target is None:
        return load_file(DEFAULT)
    path = Path(target)
    if path.is_file() or path.suffix in {".yaml", ".yml", ".json"}:
        return load_file(path)
    return None


def require(definition: Pipeline | None, target: str | None) -> Pipeline:
    """A definition that was found.

    Raises:
        Refused: It was not.
    """
    if definition is None:
        raise Refused(f"no file '{target}'", hint="deliver init")
    return definition


def _check(file: Path) -> Pipeline | list[Problem]:
    try:
        return load_file(file)
    except DefinitionError as error:
        return error.problems


def _tell(file: Path, result: Pipeline | list[Problem], *, named: bool) -> None:
    if isinstance(result, Pipeline):
        write((f"{file}: " if named else "") + f"ok: {_counts(result)}")
        return
    complain("\n".join(str(problem) for problem in result))
    hint = None if any(problem.hint for problem in result) else "deliver schema"
    complain(_plural(len(result), "problem"), hint)


def _counts(definition: Pipeline) -> str:
    actions = sum(len(stage.actions) for stage in definition.stages.values())
    return ", ".join(
        [
            _plural(len(definition.stages), "stage"),
            _plural(actions, "action"),
            _plural(len(definition.environments), "environment"),
        ]
    )


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _as_data(file: Path, result: Pipeline | list[Problem]) -> dict[str, object]:
    if isinstance(result, Pipeline):
        return {
            "file": str(file),
            "ok": True,
            "pipeline": result.pipeline,
            "digest": result.digest,
            "problems": [],
        }
    return {"file": str(file), "ok": False, "problems": [asdict(p) for p in result]}
