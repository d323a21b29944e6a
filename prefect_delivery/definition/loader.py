"""From text to a pipeline in normal form, or all that is wrong with it."""

from pathlib import Path

from prefect_delivery.definition.anchor import anchored
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.configuration import look_up, uses_in, uses_of
from prefect_delivery.definition.document import MAX_BYTES
from prefect_delivery.definition.findings import Finding
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.definition.normal import normal
from prefect_delivery.definition.reader import read
from prefect_delivery.definition.rules import check
from prefect_delivery.definition.shape import shaped
from prefect_delivery.errors import DefinitionError, Problem


def load(
    source: Path | str,
    *,
    file: str | None = None,
    folder: Path | None = None,
    catalogue: Catalogue | None = None,
) -> Pipeline:
    """Read a pipeline definition.

    Args:
        source: The definition's text, or the path of its file. Text is never taken for
            a path.
        file: Name of the file for messages.
        folder: Where relative paths start; the file's own by default, and nowhere (they
            stay as they are) for text.
        catalogue: Known actions; by default those that are installed.

    Returns:
        The pipeline in normal form.

    Raises:
        DefinitionError: With everything that is wrong, each at its place.
    """
    if isinstance(source, Path):
        text, file = text_of(source), file or str(source)
        folder = folder or source.resolve().parent
    else:
        text, file = source, file or "<definition>"
    document = read(text, file)
    pipeline, findings = from_data(document.root.data, folder, catalogue)
    if pipeline is None or findings:
        raise document.error(findings)
    return pipeline


def from_data(
    data: object, folder: Path | None = None, catalogue: Catalogue | None = None
) -> tuple[Pipeline | None, list[Finding]]:
    """The pipeline that plain data says, in normal form, and all that is wrong with it.

    Args:
        folder: Where relative paths start.
        catalogue: Known actions; by default those that are installed.
    """
    catalogue = catalogue or Catalogue.load()
    pipeline, findings = shaped(data)
    if pipeline is None:
        return None, [*findings, *look_up(uses_in(data), catalogue).findings]
    kept = pipeline.codepipeline
    found = look_up(uses_of(pipeline), catalogue, kept.only_there if kept else ())
    pipeline = normal(pipeline, found.specs)
    findings += [*found.findings, *check(pipeline, found.specs, catalogue)]
    if folder and not findings:
        pipeline = anchored(pipeline, found.specs, catalogue, folder)
    return pipeline, findings


def load_file(path: Path) -> Pipeline:
    """Read a pipeline definition from a file, YAML or JSON.

    Raises:
        DefinitionError: The file cannot be read, or what it says is wrong.
    """
    return load(path)


def text_of(path: Path) -> str:
    """The text of a definition's file; cut off where it is too long to be one.

    Raises:
        DefinitionError: It cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        # What is cut off may end within a character; the reader says it is too long.
        return data.decode(errors="strict" if len(data) <= MAX_BYTES else "replace")
    except FileNotFoundError:
        message, hint = "there is no such file", "deliver init"
    except UnicodeDecodeError as error:
        message, hint = f"not UTF-8 text (byte {error.start})", None
    except OSError as error:
        message, hint = (
            f"cannot be read: {(error.strerror or str(error)).lower()}",
            None,
        )
    raise DefinitionError([Problem(message=message, file=str(path), hint=hint)])
