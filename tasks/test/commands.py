"""Test with commands; their reports decide together with their exit code."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Megabytes,
    Minutes,
    Outputs,
    Patterns,
    Report,
    action,
)
from prefect_delivery.masking import Masker
from prefect_delivery.reports import (
    discard_reports,
    find_reports,
    read_coverage,
    read_tests,
)
from prefect_delivery.tasks.shell import Commands, Script, Workspace, workspace

NAMED_FAILURES = 3

Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]


@action("test/commands", cacheable=True)
def run_tests(
    source: Artifact,
    commands: Commands,
    *,
    junit: list[str] = [],
    coverage: list[str] = [],
    min_coverage: Percent | None = None,
    max_skipped: Count | None = None,
    extra: dict[str, Artifact] = {},
    image: str | None = None,
    environment: dict[str, str] = {},
    secrets: dict[str, str] = {},
    directory: str = ".",
    outputs: Patterns = {},
    timeout: Minutes = 60,
    memory: Megabytes | None = None,
    job: Job = Job(),
) -> Outputs:
    """Run shell commands that test `source`, and judge by their reports.

    The commands run as those of `build/commands` do. Reports are read also when a
    command fails. Files that would be taken for reports are removed beforehand.

    Args:
        source: What the commands start in.
        commands: Each a complete statement.
        junit: Patterns of JUnit XML reports; they must hold at least one test.
        coverage: Patterns of Cobertura XML or coverage.py JSON reports.
        min_coverage: Percentage of lines that each coverage report must reach.
        max_skipped: Tests that may be skipped; any number by default.
        extra: More artifacts; `$ARTIFACT_<NAME>` is the folder of each.
        image: Container image to run in instead of on the worker.
        environment: Environment variables, the only way for values into the commands.
        secrets: Environment variables, each with the name of a Prefect `Secret` block,
            or `env:NAME` for a variable of the worker. Hidden in log and reports.
        directory: Folder of the source in which the commands start, and in which
            reports and outputs are looked for.
        outputs: Artifacts to keep, each with the patterns of its files. A single
            `dist/` takes what is in that folder, as the root of the artifact.
        timeout: Minutes until the commands are ended.
        memory: Megabytes that the commands may use together.

    Returns:
        The reports, a summary such as `412 passed, 2 skipped, 94.1 % covered`, the
        artifacts named by `outputs` and the variables that the commands set.

    Raises:
        ActionFailed: A command or a test failed, too many tests were skipped, too few
            lines are covered, or a report is missing; `outputs` has the reports.
    """
    if min_coverage is not None and not coverage:
        raise ActionFailed("'min_coverage' needs reports: 'coverage' names none")
    script = Script(
        commands=commands,
        image=image,
        environment=environment,
        secrets=secrets,
        directory=directory,
        timeout=timeout,
        memory=memory,
    )
    with workspace(source, extra, script, job) as work:
        discard_reports(work.directory, [*junit, *coverage])
        failure = work.run()
        reports = _read(work, junit, coverage, failure)
        found = Outputs(reports=reports, summary=_summary(reports))
        if problem := _problem(failure, reports, min_coverage, max_skipped):
            raise ActionFailed(problem, outputs=found)
        return replace(
            found,
            artifacts=work.keep(outputs),
            variables=work.variables(),
        )


def _read(
    work: Workspace, junit: list[str], coverage: list[str], failure: str | None
) -> tuple[Report, ...]:
    """Read all reports; those that a failed command could not write may be missing."""
    reports: list[Report] = []
    try:
        paths = find_reports(work.directory, junit)
        reports.extend(_masked(read_tests(path), work.masker) for path in paths)
        reports.extend(map(read_coverage, find_reports(work.directory, coverage)))
    except ActionFailed:
        if failure is None:
            raise
        return tuple(reports)
    return tuple(reports)


def _masked(report: Report, masker: Masker) -> Report:
    hidden = [
        {key: masker.line(text) for key, text in failure.items()}
        for failure in report.failures
    ]
    return replace(report, failures=tuple(hidden))


def _problem(
    failure: str | None,
    reports: Sequence[Report],
    min_coverage: float | None,
    max_skipped: int | None,
) -> str | None:
    """What keeps the tests from counting as passed."""
    tests = [report for report in reports if report.kind == "tests"]
    failed = sum(report.failed for report in tests)
    skipped = sum(report.skipped for report in tests)
    if failed:
        return f"{failed} of {_total(tests)} tests failed: {_named(tests)}"
    if failure:
        return failure
    if tests and not _total(tests):
        return "no test ran"
    if max_skipped is not None and skipped > max_skipped:
        return f"{skipped} tests were skipped; {max_skipped} may be"
    return _uncovered(reports, min_coverage)


def _uncovered(reports: Sequence[Report], minimum: float | None) -> str | None:
    for report in reports:
        covered = 100 if report.coverage is None else report.coverage
        if minimum is not None and covered < minimum:
            return (
                f"{covered:.1f} % of the lines are covered according to "
                f"'{report.name}'; {minimum:g} % must be"
            )
    return None


def _total(tests: Sequence[Report]) -> int:
    return sum(report.passed + report.failed + report.skipped for report in tests)


def _named(tests: Sequence[Report]) -> str:
    names = [failure["name"] for report in tests for failure in report.failures]
    more = sum(report.failed for report in tests) - NAMED_FAILURES
    return ", ".join(names[:NAMED_FAILURES]) + (f" and {more} more" if more > 0 else "")


def _summary(reports: Sequence[Report]) -> str | None:
    tests = [report for report in reports if report.kind == "tests"]
    counts = {
        "passed": sum(report.passed for report in tests),
        "failed": sum(report.failed for report in tests),
        "skipped": sum(report.skipped for report in tests),
    }
    parts = [
        f"{count} {what}"
        for what, count in counts.items()
        if count or (tests and what == "passed")
    ]
    covered = [report.coverage for report in reports if report.coverage is not None]
    if covered:
        parts.append(f"{min(covered):.1f} % covered")
    return ", ".join(parts) or None
