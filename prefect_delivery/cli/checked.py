"""What `validate` finds in a file, whichever kind of file it is."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from prefect_delivery.definition import Pipeline, load_file
from prefect_delivery.definition.loader import text_of
from prefect_delivery.definition.reader import read
from prefect_delivery.definition.triggers import check_filters
from prefect_delivery.errors import DefinitionError, Problem


class Noted(Protocol):
    """What a loader gives."""

    @property
    def notes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found.

    Attributes:
        kind: What the file was recognised as; None when it cannot be read.
        pipelines: Those in it, by name; by logical id in a template.
        problems: What is wrong.
        warnings: What works, but perhaps not everywhere.
        notes: What is done otherwise here, or has no effect.
        told: What else is to be said of it.
    """

    kind: str | None
    pipelines: dict[str, Pipeline] = field(default_factory=dict[str, Pipeline])
    problems: list[Problem] = field(default_factory=list[Problem])
    warnings: list[Problem] = field(default_factory=list[Problem])
    notes: list[str] = field(default_factory=list[str])
    told: str = ""

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def native(self) -> bool:
        """Whether it is a definition of ours."""
        return self.kind == "pipeline definition"


def check_file(path: Path) -> Checked:
    """Recognise a file by what it looks like, and check it as that."""
    from prefect_delivery.codepipeline.kinds import Kind, kind_of

    try:
        text = text_of(path)
    except DefinitionError as error:
        return Checked(kind=None, problems=error.problems)
    kind = kind_of(text, path.name)
    try:
        match kind:
            case Kind.NATIVE:
                definition = load_file(path)
                return Checked(
                    kind=kind.value,
                    pipelines={definition.pipeline: definition},
                    warnings=read(text, str(path))
                    .error(check_filters(definition))
                    .problems,
                )
            case Kind.DECLARATION | Kind.TEMPLATE:
                return _pipelines(path, kind.value)
            case Kind.BUILDSPEC | Kind.APPSPEC:
                return _by_loader(text, path, kind.value)
            case _:
                return Checked(kind=kind.value, problems=[_unknown(path)])
    except DefinitionError as error:
        return Checked(kind=kind.value, problems=error.problems)


def as_data(path: Path, checked: Checked) -> dict[str, Any]:
    """What was found as JSON data."""
    data: dict[str, Any] = {"file": str(path), "ok": checked.ok, "kind": checked.kind}
    if len(checked.pipelines) == 1:
        (pipeline,) = checked.pipelines.values()
        data |= {"pipeline": pipeline.pipeline, "digest": pipeline.digest}
    if not checked.native:
        data["pipelines"] = [each.pipeline for each in checked.pipelines.values()]
        data["warnings"] = [asdict(each) for each in checked.warnings]
        data["notes"] = checked.notes
    return {**data, "problems": [asdict(each) for each in checked.problems]}


def _pipelines(path: Path, kind: str) -> Checked:
    from prefect_delivery.codepipeline.exchange import import_declaration
    from prefect_delivery.codepipeline.reading import declarations_in
    from prefect_delivery.codepipeline.writing import notes

    found = declarations_in(path)
    warnings = [
        problem
        for each in found.values()
        if each.warnings
        for problem in each.document.error(each.warnings).problems
    ]
    imported = {name: import_declaration(each) for name, each in found.items()}
    said = {warning.message for warning in warnings}
    return Checked(
        kind=kind,
        pipelines={name: each.pipeline for name, each in imported.items()},
        warnings=warnings,
        notes=[
            f"{name}: {note}" if len(imported) > 1 else note
            for name, each in imported.items()
            for note in notes(each)
            if note not in said
        ],
        told="" if imported else "no pipeline is in it",
    )


def _by_loader(text: str, path: Path, kind: str) -> Checked:
    """Check with the loader of that kind of file, where it is installed."""
    package = f"prefect_delivery.{kind}"
    if find_spec(package) is None or find_spec(f"{package}.loader") is None:
        return Checked(kind=kind, told="recognised, not checked")
    load: Callable[[str, str], Noted] = getattr(
        import_module(f"{package}.loader"), f"load_{kind}"
    )
    return Checked(kind=kind, notes=list(load(text, str(path)).notes))


def _unknown(path: Path) -> Problem:
    return Problem(
        message="neither a pipeline definition nor a file of CodePipeline, "
        "CloudFormation, CodeBuild or CodeDeploy",
        file=str(path),
        line=1,
        hint="deliver schema",
    )
