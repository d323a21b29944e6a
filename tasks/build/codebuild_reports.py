"""Reports that CodeBuild has read of a build."""

from typing import Any

from prefect_delivery.actions import Report
from prefect_delivery.reports import SHOWN_FAILURES, SHOWN_MESSAGE


def reports_of(client: Any, arns: list[str]) -> tuple[Report, ...]:
    """The test and coverage reports of a build."""
    if not arns:
        return ()
    found = client.batch_get_reports(reportArns=arns[:100])["reports"]
    return tuple(_report(client, each) for each in found)


def summary_of(reports: tuple[Report, ...]) -> str | None:
    """One line for the stage view."""
    tests = [report for report in reports if report.kind == "tests"]
    covered = [report.coverage for report in reports if report.coverage is not None]
    parts = [f"{sum(report.passed for report in tests)} passed"] if tests else []
    if failed := sum(report.failed for report in tests):
        parts.append(f"{failed} failed")
    if covered:
        parts.append(f"{min(covered):.1f} % covered")
    return ", ".join(parts) or None


def _report(client: Any, found: dict[str, Any]) -> Report:
    if found.get("type") == "CODE_COVERAGE":
        covered = found.get("codeCoverageSummary", {}).get("lineCoveragePercentage")
        return Report(kind="coverage", name=found["name"], coverage=covered)
    summary = found.get("testSummary", {})
    counts = summary.get("statusCounts", {})
    failed = counts.get("FAILED", 0) + counts.get("ERROR", 0)
    return Report(
        kind="tests",
        name=found["name"],
        passed=counts.get("SUCCEEDED", 0),
        failed=failed,
        skipped=counts.get("SKIPPED", 0) + counts.get("UNKNOWN", 0),
        seconds=summary.get("durationInNanoSeconds", 0) / 1e9,
        failures=_failures(client, found["arn"]) if failed else (),
    )


def _failures(client: Any, arn: str) -> tuple[dict[str, str], ...]:
    cases = [
        case
        for status in ("FAILED", "ERROR")
        for case in client.describe_test_cases(
            reportArn=arn, filter={"status": status}, maxResults=SHOWN_FAILURES
        )["testCases"]
    ]
    return tuple(
        {
            "name": case["name"],
            "place": case.get("testSuiteName") or case.get("prefix") or "",
            "message": case.get("message", "")[:SHOWN_MESSAGE],
        }
        for case in cases[:SHOWN_FAILURES]
    )
