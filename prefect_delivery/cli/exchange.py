"""Commands between CodePipeline and us: import, export."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.definitions import DEFAULT
from prefect_delivery.cli.terminal import complain, one_line, pairs, write
from prefect_delivery.errors import Refused

Target = Annotated[Path | None, Parameter(name=["--output", "-o"])]


def import_(
    file: Path,
    /,
    *,
    output: Target = None,
    pipeline: str | None = None,
    parameter: Annotated[
        list[str], Parameter(name=["--parameter", "-p"], negative="")
    ] = [],
) -> int:
    """Write a definition that does what a CodePipeline pipeline does.

    Read are the JSON or YAML of `aws codepipeline get-pipeline`, the input of
    `create-pipeline`, and CloudFormation templates, those of the CDK as well. What only
    CodePipeline knows is kept under `codepipeline`, so that `deliver export` gives the
    same declaration back.

    For example:

        deliver import pipeline.json -o delivery.yaml
        aws codepipeline get-pipeline --name shop > shop.json && deliver import shop.json
        deliver import template.yaml --pipeline ShopPipeline -p Stage=prod

    Args:
        file: The declaration or template.
        output: File to write, which must not be there yet; the terminal by default.
        pipeline: Which pipeline of a template, by its logical id or name.
        parameter: Value of a template's parameter, as name=value.
    """
    text, told = imported_text(file, pipeline, pairs(parameter, "-p"))
    if output is None:
        write(text.rstrip("\n"))
        return OK
    write_new(output, text)
    write(f"wrote {output} ({told})")
    write(f"  next: deliver plan {output}")
    return OK


def export(
    file: Path = DEFAULT,
    /,
    *,
    format: Literal["codepipeline", "asl"] = "codepipeline",
    function: str = "prefect-delivery",
    output: Target = None,
) -> int:
    """Write a definition as AWS CodePipeline declares it, or as a state machine.

    What was imported comes back as it was. A definition that says something for which
    the format has no words is refused, with the first such thing. In a state machine
    (Amazon States Language, `asl`) each action invokes one function, with what the
    definition says of the action; approvals wait for their task token.

    For example:

        deliver export > pipeline.json
        deliver export --format asl --function deliver-action > machine.json
        aws codepipeline update-pipeline --cli-input-json file://pipeline.json

    Args:
        file: The definition.
        format: Whose format.
        function: Name or ARN of the function that a state machine invokes.
        output: File to write, which must not be there yet; the terminal by default.
    """
    from prefect_delivery.codepipeline.exchange import export_declaration
    from prefect_delivery.codepipeline.reading import read_unplaced
    from prefect_delivery.codepipeline.states import state_machine

    pipeline = read_unplaced(file)
    asl = format == "asl"
    found = state_machine(pipeline, function) if asl else export_declaration(pipeline)
    text = json.dumps(found, indent=2)
    if output is None:
        write(text)
        return OK
    write_new(output, text + "\n")
    write(f"wrote {output}")
    return OK


def imported_text(
    file: Path, pipeline: str | None = None, parameters: dict[str, str] | None = None
) -> tuple[str, str]:
    """The definition that a file of CodePipeline becomes, and what to say of it.

    Raises:
        DefinitionError: The file is wrong.
        Refused: It is not clear which pipeline is meant.
    """
    from prefect_delivery.codepipeline.exchange import import_declaration
    from prefect_delivery.codepipeline.reading import declarations_in, the_one
    from prefect_delivery.codepipeline.writing import definition_text, notes

    found = the_one(declarations_in(file, parameters), file, pipeline)
    imported = import_declaration(found)
    for note in notes(imported):
        complain(f"note: {one_line(note)}")
    text = definition_text(imported, file.name)
    definition = imported.pipeline
    return text, f"{definition.pipeline}, {len(definition.stages)} stages"


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        Refused: It is there, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(f"{path} is already there", hint="name another file") from None
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
