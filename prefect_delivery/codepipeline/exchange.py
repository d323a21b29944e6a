"""Import and export: a declaration as our definition, and our definition as one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from prefect_delivery.codepipeline.convert import Conversion
from prefect_delivery.codepipeline.declaration import Declaration, read_declaration
from prefect_delivery.codepipeline.generate import EMPTY, generate
from prefect_delivery.codepipeline.patch import by_name, difference, listed, merged
from prefect_delivery.codepipeline.start import parted
from prefect_delivery.codepipeline.structure import actions
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.document import Document, Node, Place
from prefect_delivery.definition.findings import Finding, Path, named
from prefect_delivery.definition.loader import from_data
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import Refused

Data = dict[str, Any]
_WHENS = {
    "before_entry": "beforeEntry",
    "on_success": "onSuccess",
    "on_failure": "onFailure",
}


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A declaration as our definition.

    Attributes:
        data: The definition as it is written to a file.
        pipeline: What that file would be read as.
    """

    declaration: Declaration
    data: Data
    pipeline: Pipeline


def import_declaration(
    declaration: Declaration,
    *,
    folder: FilePath | None = None,
    catalogue: Catalogue | None = None,
) -> Imported:
    """Our definition of a declaration.

    Args:
        folder: Where relative paths start.
        catalogue: Known actions; by default those that are installed.

    Raises:
        DefinitionError: It says what no definition of ours can say.
    """
    catalogue = catalogue or Catalogue.load()
    conversion = Conversion(declaration.pipeline, catalogue)
    data = conversion.data()
    kept: Data = {"spelled_out": _spelled_out(declaration.pipeline)}
    if conversion.missing:
        kept["only_there"] = sorted(conversion.missing)
    first = _checked({**data, "codepipeline": kept}, declaration, catalogue, None)
    kept = {
        "declaration": difference(by_name(declaration.pipeline), generate(first)),
        **({"beside": declaration.beside} if declaration.beside else {}),
        **({"bare": True} if declaration.bare else {}),
        **{key: value for key, value in kept.items() if value},
    }
    data = {**data, "codepipeline": kept}
    pipeline = _checked(data, declaration, catalogue, folder)
    return Imported(declaration=declaration, data=data, pipeline=pipeline)


def export_declaration(
    pipeline: Pipeline, *, catalogue: Catalogue | None = None
) -> Data:
    """The CodePipeline declaration that says what a definition says.

    Raises:
        Refused: CodePipeline has no words for something; names the first such thing.
        DefinitionError: What came out is nothing that CodePipeline would take.
    """
    kept = pipeline.codepipeline
    found = merged(generate(pipeline), kept.declaration if kept else {})
    _check_kinds(found, pipeline)
    declared = listed(found)
    data = declared if kept and kept.bare else {"pipeline": declared}
    data = {**data, **(kept.beside if kept else {})}
    _check_back(data, pipeline, catalogue or Catalogue.load())
    return data


def _checked(
    data: Data, declaration: Declaration, catalogue: Catalogue, folder: FilePath | None
) -> Pipeline:
    pipeline, findings = from_data(data, folder, catalogue)
    if pipeline is None or findings:
        raise declaration.document.error(_there(declaration, each) for each in findings)
    return pipeline


def _there(declaration: Declaration, finding: Finding) -> Finding:
    """A finding in our definition, at its place in the declaration."""
    root = declaration.root
    path: Path = root
    match finding.path:
        case ("stages", str(stage), "actions", str(action), *_):
            path = next(
                (
                    at
                    for at, each in actions(declaration.pipeline, root)
                    if each["name"] == action
                    and declaration.pipeline["stages"][at[len(root) + 1]]["name"]
                    == stage
                ),
                root,
            )
            path = (*path, "name")
        case ("stages", str(stage), when, *_):
            names = [each["name"] for each in declaration.pipeline["stages"]]
            path = (*root, "stages", names.index(stage), _WHENS.get(str(when), "name"))
        case ("on", *_):
            path = (*root, "triggers")
        case _:
            pass
    return Finding(path=path, message=finding.message)


def _spelled_out(pipeline: Data) -> list[str]:
    """Optional keys that most actions write, though they say nothing."""
    found = [action for _, action in actions(pipeline)]
    return [
        key
        for key, empty in EMPTY.items()
        if 2 * sum(each.get(key) == empty for each in found)
        > sum(each.get(key, empty) == empty for each in found)
    ]


def _check_kinds(found: Data, pipeline: Pipeline) -> None:
    for stage, spec in found["stages"].items():
        if stage not in pipeline.stages:
            raise _stale(f"stages.{stage}")
        for name, action in spec.get("actions", {}).items():
            if name not in pipeline.stages[stage].actions:
                raise _stale(f"stages.{stage}.actions.{name}")
            if "actionTypeId" not in action:
                uses = pipeline.stages[stage].actions[name].uses
                raise Refused(
                    f"CodePipeline has no action like {named(uses)} ({stage} / {name})",
                    hint="use an action of AWS there, or keep this pipeline here",
                )
        for when in _WHENS.values():
            condition = spec.get(when, {}).get("conditions", {})
            for name, rule in condition.get("rules", {}).items():
                if "ruleTypeId" not in rule:
                    raise Refused(
                        f"CodePipeline has no rule like that of {named(name)} "
                        f"({stage}, {when})",
                        hint="use a rule that CodePipeline has",
                    )
    for key, example in (
        ("roleArn", "arn:aws:iam::111122223333:role/pipeline"),
        ("artifactStore", "{type: S3, location: BUCKET}"),
    ):
        if key not in found and not (
            key == "artifactStore" and "artifactStores" in found
        ):
            raise Refused(
                f"CodePipeline needs {named(key)}, which the definition does not say",
                hint=f"codepipeline: {{declaration: {{{key}: {example}}}}}",
            )


def _stale(place: str) -> Refused:
    return Refused(
        f"'codepipeline.declaration.{place}' names nothing in this definition",
        hint=f"take {place} out of 'codepipeline'",
    )


def _check_back(data: Data, pipeline: Pipeline, catalogue: Catalogue) -> None:
    """Refuse a declaration that does not mean what the definition says."""
    document = Document(file="export", lines=[], root=nodes(data))
    declaration = read_declaration(document)
    back = import_declaration(declaration, catalogue=catalogue).pipeline
    wanted, got = pipeline.snapshot(), back.snapshot()
    for ignored in ("codepipeline", "description"):
        wanted.pop(ignored, None)
        got.pop(ignored, None)
    for said in (wanted, got):
        if "on" in said:
            said["on"] = parted(said["on"])
    if place := next(_unequal("", wanted, got), None):
        raise Refused(
            f"CodePipeline cannot say {named(place)} as this definition does",
            hint="leave it out, or mend what 'codepipeline.declaration' says of it",
        )


def _unequal(place: str, wanted: Any, got: Any) -> Iterator[str]:
    if not (isinstance(wanted, dict) and isinstance(got, dict)):
        if wanted != got:
            yield place
        return
    for key in [*wanted, *(key for key in got if key not in wanted)]:
        yield from _unequal(f"{place}.{key}".lstrip("."), wanted.get(key), got.get(key))


def nodes(data: Any) -> Node:
    """Data that stands in no file."""
    place = Place(1, 1, 0)
    node = Node(data, place)
    if isinstance(data, dict):
        node.children = {key: nodes(value) for key, value in data.items()}
        node.keys = dict.fromkeys(data, place)
    elif isinstance(data, list):
        node.children = {index: nodes(value) for index, value in enumerate(data)}
    return node
