"""Read the reports of tests and coverage that CodeBuild knows, by their format.

Sources: the formats' own writers: NUnit 2 (`test-results`) and 3 (`test-run`), TestNG
(`testng-results`), Visual Studio (`TestRun`), Cucumber's JSON formatter, Clover,
Cobertura, JaCoCo (report.dtd), SimpleCov (`.resultset.json` and `coverage.json`).
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from prefect_delivery.actions import Report
from prefect_delivery.errors import ActionFailed
from prefect_delivery.reports import (
    SHOWN_FAILURES,
    SHOWN_MESSAGE,
    contents_of,
    read_coverage,
    read_tests,
    xml_of,
)

_PASSED = {"passed", "success", "pass", "completed", "warning"}
_SKIPPED = {
    *("skipped", "skip", "ignored", "inconclusive", "notrunnable", "notexecuted"),
    *("pending", "undefined", "notrun", "explicit"),
}


@dataclass(frozen=True, kw_only=True)
class _Case:
    name: str
    place: str
    outcome: str
    seconds: float
    message: str


def read_report(path: Path, format: str) -> Report:
    """Read a report.

    Args:
        format: `file-format` of a buildspec, such as `JUNITXML`.

    Raises:
        ActionFailed: The file is no such report, too large, or not a safe one.
    """
    try:
        return _READERS[format](path)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ActionFailed(f"report '{path.name}' is no {format} report") from error


def _nunit(path: Path) -> Report:
    root = _root(path, "test-results")
    return _tests(path, [_nunit_case(one, "time") for one in root.iter("test-case")])


def _nunit3(path: Path) -> Report:
    root = _root(path, "test-run")
    cases = [_nunit_case(one, "duration") for one in root.iter("test-case")]
    return _tests(path, cases)


def _nunit_case(element: Element, seconds: str) -> _Case:
    return _Case(
        name=element.get("name", ""),
        place=element.get("classname", ""),
        outcome=element.get("result", element.get("success", "")),
        seconds=_number(element.get(seconds)),
        message=element.findtext("failure/message", ""),
    )


def _testng(path: Path) -> Report:
    root = _root(path, "testng-results")
    cases = [
        _Case(
            name=method.get("name", ""),
            place=owner.get("name", ""),
            outcome=method.get("status", ""),
            seconds=_number(method.get("duration-ms")) / 1000,
            message=method.findtext("exception/message", ""),
        )
        for owner in root.iter("class")
        for method in owner.iter("test-method")
        if method.get("is-config") != "true"
    ]
    return _tests(path, cases)


def _visual_studio(path: Path) -> Report:
    root = _root(path, "TestRun")
    message = "{*}Output/{*}ErrorInfo/{*}Message"
    cases = [
        _Case(
            name=result.get("testName", ""),
            place="",
            outcome=result.get("outcome", "Passed"),
            seconds=_clock(result.get("duration", "")),
            message=result.findtext(message, ""),
        )
        for result in root.iterfind(".//{*}UnitTestResult")
    ]
    return _tests(path, cases)


def _cucumber(path: Path) -> Report:
    features: list[dict[str, Any]] = _list(json.loads(contents_of(path)))
    cases = [
        _scenario(feature, element)
        for feature in features
        for element in _list(feature.get("elements") or [])
        if element.get("type") != "background"
    ]
    return _tests(path, cases)


def _scenario(feature: dict[str, Any], element: dict[str, Any]) -> _Case:
    parts = [*(element.get("before") or []), *(element.get("steps") or [])]
    parts += element.get("after") or []
    results = [part.get("result") or {} for part in parts]
    outcomes = [str(result.get("status", "")).lower() for result in results]
    other = [outcome for outcome in outcomes if outcome != "passed"]
    worst = next((one for one in other if one not in _SKIPPED), "") or (
        other[0] if other else "passed"
    )
    messages = [
        str(result["error_message"]) for result in results if "error_message" in result
    ]
    return _Case(
        name=str(element.get("name", "")),
        place=str(feature.get("name", "")),
        outcome=worst,
        seconds=sum(_number(result.get("duration")) for result in results) / 1e9,
        message=messages[0] if messages else "",
    )


def _clover(path: Path) -> Report:
    metrics = _root(path, "coverage").find("project/metrics")
    if metrics is None:
        raise ValueError
    total = float(metrics.attrib["statements"])
    return _coverage(path, float(metrics.attrib["coveredstatements"]), total)


def _jacoco(path: Path) -> Report:
    counters = _root(path, "report").findall("counter")
    lines = [one for one in counters if one.get("type") == "LINE"]
    covered = float(lines[0].attrib["covered"]) if lines else 0
    missed = float(lines[0].attrib["missed"]) if lines else 0
    return _coverage(path, covered, covered + missed)


def _simplecov(path: Path) -> Report:
    data: dict[str, Any] = json.loads(contents_of(path))
    runs = [data] if "coverage" in data else list(data.values())
    files = [lines for run in runs for lines in run["coverage"].values()]
    listed = [_list(one["lines"] if isinstance(one, dict) else one) for one in files]
    # None and "ignored" stand for lines that cannot be run.
    counted = [hits for lines in listed for hits in lines if isinstance(hits, int)]
    return _coverage(path, sum(hits > 0 for hits in counted), len(counted))


def _coverage(path: Path, covered: float, total: float) -> Report:
    share = 100 * covered / total if total else -1
    if not isfinite(share) or not 0 <= share <= 100:
        raise ValueError
    return Report(kind="coverage", name=path.name, coverage=share)


def _tests(path: Path, cases: Sequence[_Case]) -> Report:
    passed = [case for case in cases if case.outcome.lower() in {*_PASSED, "true"}]
    skipped = [case for case in cases if case.outcome.lower() in _SKIPPED]
    known = {id(case) for case in (*passed, *skipped)}
    failed = [case for case in cases if id(case) not in known]
    return Report(
        kind="tests",
        name=path.name,
        passed=len(passed),
        failed=len(failed),
        skipped=len(skipped),
        seconds=round(sum(case.seconds for case in cases), 3),
        failures=tuple(_failures(failed[:SHOWN_FAILURES])),
    )


def _failures(cases: Iterable[_Case]) -> Iterable[dict[str, str]]:
    for case in cases:
        message = case.message.strip()[:SHOWN_MESSAGE]
        name = case.name or "(without a name)"
        yield {"name": name, "place": case.place, "message": message}


def _root(path: Path, tag: str) -> Element:
    root = xml_of(path)
    if root.tag.rpartition("}")[2] != tag:
        raise ValueError
    return root


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError
    return data


def _number(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return 0
    return number if isfinite(number) and number > 0 else 0


def _clock(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6}):(\d{2}):(\d{2}(?:\.\d+)?)", text, re.ASCII)
    if not match:
        return 0
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


_READERS: dict[str, Callable[[Path], Report]] = {
    "CUCUMBERJSON": _cucumber,
    "JUNITXML": read_tests,
    "NUNITXML": _nunit,
    "NUNIT3XML": _nunit3,
    "TESTNGXML": _testng,
    "VISUALSTUDIOTRX": _visual_studio,
    "CLOVERXML": _clover,
    "COBERTURAXML": read_coverage,
    "JACOCOXML": _jacoco,
    "SIMPLECOV": _simplecov,
}


def named(report: Report, group: str) -> Report:
    """The report under the name of its group and its file."""
    return replace(report, name=f"{group}/{report.name}")
