"""From text to a pipeline in normal form, or all that is wrong with it."""

from pathlib import Path

from prefect_delivery.definition.anchor import anchored
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.configuration import look_up, uses_in, uses_of
from prefect_delivery.definition.document import MAX_BYTES
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
        text, file = _text_of(source), file or str(source)
        folder = folder or source.resolve().parent
    else:
        text, file = source, file or "<definition>"
    document = read(text, file)
    catalogue = catalogue or Catalogue.load()
    pipeline, findings = shaped(document.root.data)
    if pipeline is None:
        findings += look_up(uses_in(document.root.data), catalogue).findings
        raise document.error(findings)
    found = look_up(uses_of(pipeline), catalogue)
    pipeline = normal(pipeline, found.specs)
    findings += [*found.findings, *check(pipeline, found.specs, catalogue)]
    if findings:
        raise document.error(findings)
    return anchored(pipeline, found.specs, catalogue, folder) if folder else pipeline


def load_file(path: Path) -> Pipeline:
    """Read a pipeline definition from a file, YAML or JSON.

    Raises:
        DefinitionError: The file cannot be read, or what it says is wrong.
    """
    return load(path)


def _text_of(path: Path) -> str:
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
