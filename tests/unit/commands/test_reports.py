import json
from pathlib import Path

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.reports import (
    LARGEST,
    discard_reports,
    find_reports,
    read_coverage,
    read_tests,
)

JUNIT = """<?xml version="1.0"?>
<testsuites>
  <testsuite name="a">
    <testcase name="passes" classname="test_a" time="1,000.25"/>
    <testcase name="fails" classname="test_a" time="0.5">
      <failure message="assert 1 == 2">trace</failure>
    </testcase>
    <testsuite name="inner">
      <testcase name="breaks"><error>no database</error></testcase>
      <testsuite name="innermost"><testcase name="waits"><skipped/></testcase></testsuite>
    </testsuite>
  </testsuite>
</testsuites>
"""
COBERTURA = """<?xml version="1.0"?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.9412" branch-rate="0"/>
"""
BOMB = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<testsuites><testsuite name="&b;"/></testsuites>
"""
OUTSIDE = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<testsuite><testcase name="t"><failure message="m">&a;</failure></testcase></testsuite>
"""


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_report_counts_cases_in_suites_of_any_depth(tmp_path: Path) -> None:
    report = read_tests(written(tmp_path, "r.xml", JUNIT))

    assert (report.passed, report.failed, report.skipped) == (1, 2, 1)
    assert report.seconds == 1000.75
    assert report.failures == (
        {"name": "fails", "place": "test_a", "message": "assert 1 == 2"},
        {"name": "breaks", "place": "", "message": "no database"},
    )


def test_only_the_first_failures_are_kept_with_short_messages(tmp_path: Path) -> None:
    case = f'<testcase name="t"><failure message="{"x" * 9999}"/></testcase>'
    path = written(tmp_path, "r.xml", f"<testsuite>{case * 80}</testsuite>")

    report = read_tests(path)

    assert report.failed == 80
    assert [len(failure["message"]) for failure in report.failures] == [500] * 50


@pytest.mark.parametrize("text", [BOMB, OUTSIDE])
def test_entities_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ActionFailed, match="declares entities"):
        read_tests(written(tmp_path, "r.xml", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no XML"),
        ("<html>", "is no XML"),
        ("<html/>", "is no JUnit report"),
        ('<testsuite><testcase time="soon"/></testsuite>', "cannot be read"),
        ('<?xml version="1.0" encoding="nonsense"?><testsuite/>', "is no XML"),
    ],
)
def test_what_is_no_report_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ActionFailed, match=f"report 'r.xml' {message}"):
        read_tests(written(tmp_path, "r.xml", text))


def test_a_huge_report_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "r.xml"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)

    with pytest.raises(ActionFailed, match="are the most"):
        read_tests(path)


def test_coverage_is_read_from_cobertura_and_from_coverage_py(tmp_path: Path) -> None:
    totals = json.dumps({"totals": {"percent_covered": 87.5}})

    xml = read_coverage(written(tmp_path, "c.xml", COBERTURA))
    plain = read_coverage(written(tmp_path, "c.json", totals))

    assert xml.coverage == pytest.approx(94.12)
    assert plain.coverage == 87.5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", "{}"),
        ("c.json", "[1]"),
        ("c.json", "not json"),
        ("c.json", '{"totals": {"percent_covered": NaN}}'),
        ("c.xml", "<coverage/>"),
        ("c.xml", '<coverage line-rate="inf"/>'),
        ("c.xml", '<coverage line-rate="94"/>'),
    ],
)
def test_coverage_that_says_nothing_is_no_coverage(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(ActionFailed, match="does not say what share"):
        read_coverage(written(tmp_path, name, text))


def test_reports_are_found_once_each(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    paths = [written(tmp_path, "out/a.xml", ""), written(tmp_path, "out/b.xml", "")]

    assert find_reports(tmp_path, ["out/a.xml", "**/*.xml"]) == paths


def test_a_pattern_without_a_match_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match=r"no report matches 'report\.xml'"):
        find_reports(tmp_path, ["report.xml"])


@pytest.mark.parametrize("pattern", ["../r.xml", "/etc/passwd", "a/../../r.xml"])
def test_a_pattern_that_leads_out_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ActionFailed, match="leads out"):
        find_reports(tmp_path, [pattern])


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.xml").symlink_to("/etc/passwd")

    with pytest.raises(ActionFailed, match="link out of the workspace"):
        find_reports(tmp_path, ["*.xml"])


def test_old_reports_are_discarded_and_nothing_else(tmp_path: Path) -> None:
    written(tmp_path, "old.xml", "")
    kept = written(tmp_path, "kept.txt", "")

    discard_reports(tmp_path, ["*.xml"])

    assert list(tmp_path.iterdir()) == [kept]
