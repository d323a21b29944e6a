"""Read the reports of test and coverage runs.

Sources: the JUnit XML format as Ant, Maven, pytest and Jenkins write it; Cobertura's
coverage-04.dtd (attribute `line-rate`); coverage.py's JSON report (`totals`).
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from junitparser import Attr, Error, Failure, JUnitXmlError, TestCase
from wcmatch import glob

from prefect_delivery.actions import Report
from prefect_delivery.errors import ActionFailed

LARGEST = 64 * 1024 * 1024
"""Bytes of a report; a larger one is refused rather than read into memory."""
SHOWN_FAILURES = 50
SHOWN_MESSAGE = 500
"""Characters of a failure's message that are kept."""

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.NODIR


def find_reports(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files in `folder` that match one of the patterns, each once, in order.

    Raises:
        ActionFailed: A pattern matches nothing, or leads out of the folder.
    """
    return list(
        dict.fromkeys(path for one in patterns for path in _matches(folder, one))
    )


def discard_reports(folder: Path, patterns: Sequence[str]) -> None:
    """Remove files that would be taken for the reports of the run to come."""
    for pattern in patterns:
        for name in glob.glob(_inside(pattern), root_dir=folder, flags=_FLAGS):
            (folder / name).unlink()


def read_tests(path: Path) -> Report:
    """Read a JUnit report.

    Raises:
        ActionFailed: The file is no JUnit report, or not a safe one.
    """
    root = xml_of(path)
    if root.tag not in {"testsuites", "testsuite"}:
        raise ActionFailed(f"report '{path.name}' is no JUnit report")
    try:
        # Dialects differ in where they put cases: in suites, nested ones, or the root.
        read: Callable[[Element], _Case] = _Case.fromelem
        cases = [read(element) for element in root.iter("testcase")]
        return _tests(path.name, cases)
    except (JUnitXmlError, ValueError, RecursionError) as error:
        raise ActionFailed(f"report '{path.name}' cannot be read: {error}") from error


def read_coverage(path: Path) -> Report:
    """Read a coverage report: Cobertura XML or the JSON of coverage.py.

    Raises:
        ActionFailed: The file is neither, or not a safe one.
    """
    read = _from_json if path.suffix == ".json" else _from_cobertura
    covered = read(path)
    if covered is None or not math.isfinite(covered) or not 0 <= covered <= 100:
        raise ActionFailed(
            f"report '{path.name}' does not say what share of the lines is covered",
            hint="give a Cobertura XML file or the JSON file of `coverage json`",
        )
    return Report(kind="coverage", name=path.name, coverage=covered)


def _matches(folder: Path, pattern: str) -> list[Path]:
    found = sorted(glob.glob(_inside(pattern), root_dir=folder, flags=_FLAGS))
    if not found:
        raise ActionFailed(
            f"no report matches '{pattern}'",
            hint="name the file that the commands write, relative to the directory",
        )
    paths = [folder / name for name in found]
    for path in paths:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ActionFailed(f"report '{path.name}' is a link out of the workspace")
    return paths


def _inside(pattern: str) -> str:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ActionFailed(f"report pattern '{pattern}' leads out of the directory")
    return pattern


class _Case(TestCase):
    """A case that may say where it is, as pytest's and others do."""

    file = Attr()
    line = Attr()


def _tests(name: str, cases: Sequence[_Case]) -> Report:
    failed = [case for case in cases if _failures(case)]
    skipped = [case for case in cases if case.is_skipped and not _failures(case)]
    return Report(
        kind="tests",
        name=name,
        passed=len(cases) - len(failed) - len(skipped),
        failed=len(failed),
        skipped=len(skipped),
        seconds=round(sum(case.time or 0 for case in cases), 3),
        failures=tuple(_shown(case) for case in failed[:SHOWN_FAILURES]),
    )


def _failures(case: TestCase) -> list[Failure | Error]:
    return [one for one in case.result if isinstance(one, Failure | Error)]


def _shown(case: _Case) -> dict[str, str]:
    first = _failures(case)[0]
    place = {"file": case.file, "line": case.line} if case.file and case.line else {}
    return place | {
        "name": case.name or "(without a name)",
        "place": case.classname or "",
        "message": (first.message or first.text or "").strip()[:SHOWN_MESSAGE],
    }


def _from_cobertura(path: Path) -> float | None:
    root = xml_of(path)
    try:
        return float(root.attrib["line-rate"]) * 100
    except (KeyError, ValueError):
        return None


def _from_json(path: Path) -> float | None:
    try:
        return float(json.loads(contents_of(path))["totals"]["percent_covered"])
    except (KeyError, TypeError, ValueError):
        return None


def xml_of(path: Path) -> Element:
    """The root of a report in XML.

    Raises:
        ActionFailed: It is none, is too large, or declares entities.
    """
    try:
        root: Element = fromstring(contents_of(path))
    except DefusedXmlException as error:
        raise ActionFailed(
            f"report '{path.name}' declares entities, which are refused"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise ActionFailed(f"report '{path.name}' is no XML: {error}") from error
    return root


def contents_of(path: Path) -> bytes:
    """What is in a report.

    Raises:
        ActionFailed: It is too large.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ActionFailed(
            f"report '{path.name}' has {size:,} bytes; {LARGEST:,} are the most"
        )
    return path.read_bytes()
