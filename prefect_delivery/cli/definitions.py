"""Commands on definition files: validate, schema, graph. They start nothing."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from prefect_delivery.cli.checked import Checked, as_data, check_file
from prefect_delivery.cli.codes import OK, USAGE
from prefect_delivery.cli.terminal import (
    Format,
    clean,
    complain,
    one_line,
    write,
    write_json,
)
from prefect_delivery.codepipeline.reading import read_pipeline
from prefect_delivery.definition import Pipeline, load_file
from prefect_delivery.errors import Refused

DEFAULT = Path("delivery.yaml")
Output = Annotated[Format, Parameter(name=["--output", "-o"])]


def validate(*files: Path, output: Output = "text") -> int:
    """Check definitions for mistakes.

    Each file is recognised by what it looks like: a definition, a CodePipeline
    declaration (JSON or YAML), a CloudFormation template with pipelines, a buildspec or
    an appspec. All mistakes are shown at once, each at its place.

    For example:

        deliver validate
        deliver validate services/*/delivery.yaml
        deliver validate pipeline.json template.yaml buildspec.yml

    Args:
        files: Files; delivery.yaml by default.
        output: `json` for programs.

    Returns:
        0 when all are right, else 2.
    """
    checked = {file: check_file(file) for file in files or (DEFAULT,)}
    if output == "json":
        write_json([as_data(file, result) for file, result in checked.items()])
    else:
        for file, result in checked.items():
            _tell(file, result, named=len(checked) > 1)
    return OK if all(result.ok for result in checked.values()) else USAGE


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
        file: The definition; a file of CodePipeline as well.
        format: `mermaid` for Markdown pages, `svg` for all others.
    """
    from prefect_delivery.cli.graphs import ascii_graph, mermaid_graph

    definition = read_pipeline(file)
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
        return read_pipeline(path)
    return None


def require(definition: Pipeline | None, target: str | None) -> Pipeline:
    """A definition that was found.

    Raises:
        Refused: It was not.
    """
    if definition is None:
        raise Refused(f"no file '{target}'", hint="deliver init")
    return definition


def _tell(file: Path, result: Checked, *, named: bool) -> None:
    for warning in result.warnings:
        complain(f"warning: {warning}")
    if result.ok:
        write(one_line((f"{file}: " if named else "") + f"ok: {_found(result)}"))
        for note in result.notes:
            write(one_line(f"note: {note}"))
        return
    complain("\n".join(str(problem) for problem in result.problems))
    shown = any(problem.hint for problem in result.problems) or not result.native
    count = _plural(len(result.problems), "problem")
    if result.kind and not result.native and result.kind != "file of another kind":
        count += f"; the file was read as a {result.kind}"
    complain(count, None if shown else "deliver schema")


def _found(result: Checked) -> str:
    """What is in a file that is right."""
    counted = [_counts(each) for each in result.pipelines.values()]
    if result.native:
        return counted[0]
    if len(counted) > 1:
        counted = [
            f"{name}: {each}"
            for name, each in zip(result.pipelines, counted, strict=True)
        ]
    what = "; ".join([*counted, *([result.told] if result.told else [])])
    return f"{result.kind}, {what}" if what else str(result.kind)


def _counts(definition: Pipeline) -> str:
    actions = sum(len(stage.actions) for stage in definition.stages.values())
    counts = [
        _plural(len(definition.stages), "stage"),
        _plural(actions, "action"),
        _plural(len(definition.environments), "environment"),
    ]
    if definition.codepipeline:
        # A declaration has no environments to count.
        return ", ".join(counts[:2])
    if definition.pools:
        counts.append(f"runs on {', '.join(definition.pools)}")
    return ", ".join(counts)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
