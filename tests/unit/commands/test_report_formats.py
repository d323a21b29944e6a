from pathlib import Path

import pytest

from prefect_delivery.actions import ActionFailed
from prefect_delivery.buildspec.models import COVERAGE_FORMATS, TEST_FORMATS
from prefect_delivery.report_formats import read_report

SAMPLES = {
    "CUCUMBERJSON": """[{"name": "Cart", "elements": [
      {"type": "background", "name": "b", "steps": [{"result": {"status": "failed"}}]},
      {"type": "scenario", "name": "good",
       "steps": [{"result": {"status": "passed", "duration": 1500000000}}]},
      {"type": "scenario", "name": "bad", "steps": [
        {"result": {"status": "failed", "error_message": "no stock"}},
        {"result": {"status": "skipped"}}]},
      {"type": "scenario", "name": "todo", "steps": [{"result": {"status": "pending"}}]}
    ]}]""",
    "JUNITXML": """<testsuite>
      <testcase name="good" classname="Cart" time="1.5"/>
      <testcase name="bad" classname="Cart"><failure message="no stock"/></testcase>
      <testcase name="todo"><skipped/></testcase></testsuite>""",
    "NUNITXML": """<test-results total="3"><test-suite><results>
      <test-case name="good" result="Success" success="True" time="1.5"/>
      <test-case name="bad" result="Failure" success="False">
        <failure><message>no stock</message></failure></test-case>
      <test-case name="todo" result="Ignored" executed="False"/>
      </results></test-suite></test-results>""",
    "NUNIT3XML": """<test-run><test-suite>
      <test-case name="good" classname="Cart" result="Passed" duration="1.5"/>
      <test-case name="bad" classname="Cart" result="Failed">
        <failure><message>no stock</message></failure></test-case>
      <test-case name="todo" result="Skipped"/></test-suite></test-run>""",
    "TESTNGXML": """<testng-results><suite><test><class name="Cart">
      <test-method is-config="true" name="setUp" status="FAIL"/>
      <test-method name="good" status="PASS" duration-ms="1500"/>
      <test-method name="bad" status="FAIL">
        <exception><message>no stock</message></exception></test-method>
      <test-method name="todo" status="SKIP"/>
      </class></test></suite></testng-results>""",
    "VISUALSTUDIOTRX": """<TestRun
      xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"><Results>
      <UnitTestResult testName="good" outcome="Passed" duration="00:00:01.5000000"/>
      <UnitTestResult testName="bad" outcome="Failed"><Output><ErrorInfo>
        <Message>no stock</Message></ErrorInfo></Output></UnitTestResult>
      <UnitTestResult testName="todo" outcome="NotExecuted"/></Results></TestRun>""",
    "CLOVERXML": """<coverage><project><metrics statements="8" coveredstatements="6"/>
      </project></coverage>""",
    "COBERTURAXML": '<coverage line-rate="0.75"/>',
    "JACOCOXML": """<report name="x"><package name="p"><counter type="LINE" missed="9"
      covered="1"/></package><counter type="BRANCH" missed="1" covered="1"/>
      <counter type="LINE" missed="2" covered="6"/></report>""",
    "SIMPLECOV": """{"RSpec": {"coverage": {"a.rb": {"lines": [1, null, 0, 2, "ignored"]},
      "b.rb": [5]}, "timestamp": 1}}""",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report"


@pytest.mark.parametrize("kind", TEST_FORMATS)
def test_tests_are_counted_in_every_format(path: Path, kind: str) -> None:
    path.write_text(SAMPLES[kind])

    report = read_report(path, kind)

    assert (report.passed, report.failed, report.skipped) == (1, 1, 1)
    assert report.seconds == 1.5
    assert [(one["name"], one["message"]) for one in report.failures] == [
        ("bad", "no stock")
    ]


@pytest.mark.parametrize("kind", COVERAGE_FORMATS)
def test_coverage_is_read_in_every_format(path: Path, kind: str) -> None:
    path.write_text(SAMPLES[kind])

    assert read_report(path, kind).coverage == 75


@pytest.mark.parametrize("kind", [*TEST_FORMATS, *COVERAGE_FORMATS])
@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "<a/>", '{"a": [1]}', "[[]]", "null"]
)
def test_what_is_no_report_is_refused(path: Path, kind: str, text: str) -> None:
    path.write_text(text)

    with pytest.raises(ActionFailed):
        read_report(path, kind)


@pytest.mark.parametrize("kind", ["NUNIT3XML", "JACOCOXML", "VISUALSTUDIOTRX"])
def test_entities_are_refused(path: Path, kind: str) -> None:
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><report>&b;</report>')

    with pytest.raises(ActionFailed, match="entities"):
        read_report(path, kind)
