from collections.abc import Callable
from typing import Any

import pytest

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.test.commands import run_tests

GOOD = '<testsuite><testcase name="a"/><testcase name="b"/></testsuite>'
SKIPPED = '<testsuite><testcase name="a"/><testcase><skipped/></testcase></testsuite>'
BAD = (
    '<testsuite><testcase name="good"/>'
    + "".join(f'<testcase name="bad{n}"><failure message="correct horse"/></testcase>' for n in range(5))
    + "</testsuite>"
)  # fmt: skip
FILES = {
    "good.xml": GOOD,
    "skipped.xml": SKIPPED,
    "bad.xml": BAD,
    "empty.xml": "<testsuite/>",
    "half.json": '{"totals": {"percent_covered": 50}}',
    "most.json": '{"totals": {"percent_covered": 94.12}}',
}


@pytest.fixture
def check(
    source_of: Callable[[dict[str, str]], Artifact], job: Job
) -> Callable[..., Outputs]:
    source = source_of({f"kept/{name}": text for name, text in FILES.items()})

    def run(*commands: str, **options: Any) -> Outputs:
        return run_tests.fn(source, list(commands), job=job, **options)

    return run


def test_reports_are_summed_up(check: Callable[..., Outputs]) -> None:
    outputs = check(
        "cp kept/good.xml kept/skipped.xml kept/half.json kept/most.json .",
        junit=["*.xml"],
        coverage=["half.json", "most.json"],
    )

    assert outputs.summary == "3 passed, 1 skipped, 50.0 % covered"
    assert [report.name for report in outputs.reports] == [
        "good.xml",
        "skipped.xml",
        "half.json",
        "most.json",
    ]


def test_failed_tests_fail_the_action_whatever_the_command_says(
    check: Callable[..., Outputs],
) -> None:
    for end in ("exit 0", "exit 1"):
        with pytest.raises(ActionFailed) as failure:
            check("cp kept/bad.xml .", end, junit=["bad.xml"])

        assert (
            failure.value.message == "5 of 6 tests failed: bad0, bad1, bad2 and 2 more"
        )
        assert isinstance(failure.value.outputs, Outputs)
        assert failure.value.outputs.summary == "1 passed, 5 failed"


def test_a_command_that_fails_although_its_tests_passed_is_named(
    check: Callable[..., Outputs],
) -> None:
    with pytest.raises(ActionFailed, match="'exit 4' ended with exit code 4"):
        check("cp kept/good.xml .", "exit 4", junit=["good.xml"])


def test_a_command_that_fails_before_its_report_is_named(
    check: Callable[..., Outputs],
) -> None:
    with pytest.raises(ActionFailed, match="'exit 4' ended with exit code 4"):
        check("exit 4", junit=["good.xml"])


def test_a_missing_report_fails_the_action(check: Callable[..., Outputs]) -> None:
    with pytest.raises(ActionFailed, match=r"no report matches 'good\.xml'"):
        check("true", junit=["good.xml"])


def test_a_report_that_came_with_the_source_is_not_taken_for_one_of_this_run(
    check: Callable[..., Outputs],
) -> None:
    with pytest.raises(ActionFailed, match="no report matches"):
        check("true", junit=["kept/good.xml"])


def test_a_report_without_tests_is_no_success(check: Callable[..., Outputs]) -> None:
    with pytest.raises(ActionFailed, match="no test ran"):
        check("cp kept/empty.xml .", junit=["empty.xml"])


def test_too_little_coverage_fails_the_action(check: Callable[..., Outputs]) -> None:
    copy = "cp kept/most.json ."

    assert (
        check(copy, coverage=["most.json"], min_coverage=94).summary == "94.1 % covered"
    )
    with pytest.raises(ActionFailed, match=r"94\.1 % .* 'most\.json'; 94\.2 % must be"):
        check(copy, coverage=["most.json"], min_coverage=94.2)


def test_a_minimum_without_reports_is_refused(check: Callable[..., Outputs]) -> None:
    with pytest.raises(ActionFailed, match="'min_coverage' needs reports"):
        check("true", min_coverage=50)


def test_more_skips_than_allowed_fail_the_action(check: Callable[..., Outputs]) -> None:
    copy = "cp kept/skipped.xml ."

    check(copy, junit=["skipped.xml"], max_skipped=1)
    with pytest.raises(ActionFailed, match="1 tests were skipped; 0 may be"):
        check(copy, junit=["skipped.xml"], max_skipped=0)


def test_secrets_are_hidden_in_reports(
    check: Callable[..., Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_TOKEN", "correct horse")

    with pytest.raises(ActionFailed) as failure:
        check("cp kept/bad.xml .", junit=["bad.xml"], secrets={"T": "env:WORKER_TOKEN"})

    assert isinstance(failure.value.outputs, Outputs)
    assert failure.value.outputs.reports[0].failures[0]["message"] == "***"


def test_without_reports_the_exit_code_alone_decides(
    check: Callable[..., Outputs],
) -> None:
    assert check("true").summary is None
    with pytest.raises(ActionFailed):
        check("false")
