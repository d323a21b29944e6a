"""Pipelines whose stages have conditions, from the definition to the ledger."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pages import Pages
from polling import until
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prometheus_server import Prometheus
from site_repository import Site
from warm_commands import deliver

from prefect_delivery import control
from prefect_delivery.engine.state import ActionRun, Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.flows.close import close_dead

DRIVER = """
import sys
from prefect_delivery.flows.run import Watch, run_execution
run_execution(sys.argv[1], Watch(lambda e: None, lambda a, l: None), local=True)
"""
CLOSED = f"""
    before_entry:
      rules:
        hours:
          uses: rule/deployment-window
          with: {{allow: [{{cron: "0 0 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"}}]}}
"""
BRANCH = """
    before_entry:
      result: RESULT
      rules:
        branch:
          uses: rule/variable-check
          with: {variable: "#{app.branch}", operator: EQ, value: "WANTED"}
"""


def branch(wanted: str, result: str = "fail") -> str:
    return BRANCH.replace("WANTED", wanted).replace("RESULT", result)


def drive(execution: Execution) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", DRIVER, execution.id])


def last(execution: Execution, name: str) -> ActionRun:
    return execution.stages["Production"].actions[name][-1]


@pytest.mark.parametrize("local", [True, False], ids=["local", "engine"])
def test_a_rule_that_holds_lets_the_stage_in(
    site: Site, local: bool, request: pytest.FixtureRequest
) -> None:
    if not local:
        request.getfixturevalue("prefect_server")

    ended = site.drive(site.begin(branch("main")), local=local)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert last(ended, "before_entry:branch").summary == "main EQ main"
    assert (site.root / "current" / "index.html").exists()
    if not local:
        assert "Production / before_entry: branch" in task_runs(ended)


def task_runs(execution: Execution) -> set[str]:
    """Names of the task runs that Prefect has of an execution."""
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(execution.flow_run or "")]))
    with get_client(sync_client=True) as client:
        return {run.name for run in client.read_task_runs(flow_run_filter=wanted)}


@pytest.mark.parametrize(
    ("result", "status"), [("fail", Status.FAILED), ("skip", Status.SUCCEEDED)]
)
def test_a_rule_that_does_not_hold_keeps_the_stage_from_changing_anything(
    site: Site, result: str, status: Status
) -> None:
    ended = site.run(branch("release", result))

    assert ended.status is status
    assert list(ended.stages["Production"].actions) == ["before_entry:branch"]
    assert not (site.root / "current").exists()
    assert ("Tell" in ended.stages) is (result == "skip")


def test_a_closed_window_waits_until_a_person_overrides_it(site: Site) -> None:
    execution = site.begin(CLOSED)
    driver = drive(execution)
    until(lambda: _now(site, execution).status is Status.WAITING)
    waiting = _now(site, execution)

    said = deliver(
        ["override", "site", "Production", "-m", "hotfix"],
        cwd=Path.cwd(),
        env={**os.environ, "PREFECT_DELIVERY_USER": "ann"},
    ).stdout
    driver.wait(timeout=60)

    run = last(waiting, "before_entry:hours")
    assert run.due is not None and run.due > datetime.now(UTC)
    assert control.waiting_actions(waiting) == []
    assert "before_entry of Production overridden by ann" in said
    ended = _now(site, execution)
    assert ended.status is Status.SUCCEEDED, ended.reason
    run = last(ended, "before_entry:hours")
    assert (run.status, run.error) == (Status.STOPPED, "overridden by ann: hotfix")
    site.ledger.audit.verify()


def test_a_rule_whose_process_was_killed_is_asked_by_a_retry(site: Site) -> None:
    execution = site.begin(CLOSED)
    driver = drive(execution)
    until(lambda: _now(site, execution).status is Status.WAITING)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    close_dead(site.ledger, lambda _: None)
    stopped = _now(site, execution)

    control.override(
        site.ledger, "site", None, "Production", by="ann", reason="power cut"
    )
    ended = site.drive(control.retry(site.ledger, "site", by="ann"), local=True)

    assert stopped.status is Status.STOPPED
    assert ended.status is Status.SUCCEEDED, ended.reason


def test_a_page_is_asked_until_it_is_right(site: Site, pages: Pages) -> None:
    execution = site.begin(f"""
    on_success:
      rules:
        smoke:
          uses: rule/http
          with: {{url: "{pages.url}/health", interval: 1}}
""")
    driver = drive(execution)
    until(lambda: len(pages.asked) > 1)

    pages.texts["/health"] = "well"
    driver.wait(timeout=60)

    ended = _now(site, execution)
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert len(ended.stages["Production"].actions["on_success:smoke"]) == 1


def test_a_rule_that_is_never_right_fails_when_its_time_is_over(
    site: Site, pages: Pages
) -> None:
    ended = site.run(f"""
    before_entry:
      rules:
        ready:
          uses: rule/http
          timeout: 0.03
          with: {{url: "{pages.url}/", interval: 1}}
""")

    assert ended.status is Status.FAILED
    assert ended.reason == (
        "Production / before_entry: ready: timed out after 0.03 min"
    )


def test_errors_in_prometheus_after_a_deploy_bring_the_old_release_back(
    site: Site, pages: Pages, prometheus: Prometheus
) -> None:
    conditions = f"""
    on_success:
      result: rollback
      rules:
        errors:
          uses: rule/alarm
          with:
            source: prometheus
            alarm: {{server: "{prometheus.url}", query: shop_errors, operator: GE, threshold: 1}}
"""
    good = site.run(conditions)
    pages.texts["/metrics"] = "shop_errors 7\n"
    until(lambda: prometheus.result("shop_errors")[0]["value"][1] == "7")
    (site.folder / "bad").touch()
    site.git("add", "-A")

    bad = site.run(conditions)

    back = site.ledger.executions.find("site")
    assert (good.status, bad.status) == (Status.SUCCEEDED, Status.FAILED)
    assert "is 7, GE 1" in (bad.reason or "")
    assert (back.trigger, back.status) == ("automatic-rollback", Status.SUCCEEDED)
    assert list(back.stages["Production"].actions) == ["deploy"]
    assert not (site.root / "current" / "bad").exists()


ON_FAILURE = """
      smoke: {uses: test/commands, run_order: 2, inputs: app, with: {commands: [test ! -e bad]}}
    on_failure:
      result: rollback
      rules:
        agreed: {uses: rule/commands, inputs: app, with: {commands: [test -e ANSWER]}}
"""


@pytest.mark.parametrize(("answer", "executions"), [("bad", 3), ("worse", 2)])
def test_a_failed_stage_is_rolled_back_when_the_rules_hold(
    site: Site, answer: str, executions: int
) -> None:
    conditions = ON_FAILURE.replace("ANSWER", answer)
    site.run(conditions)
    (site.folder / "bad").touch()
    site.git("add", "-A")

    bad = site.run(conditions)

    assert bad.status is Status.FAILED
    assert "smoke" in (bad.reason or "")
    assert site.ledger.executions.find("site").number == executions
    assert (site.root / "current" / "bad").exists() is (executions == 2)


def test_a_failed_condition_is_overridden_and_the_stage_retried(site: Site) -> None:
    failed = site.run(branch("release"))

    chosen = control.override(
        site.ledger, "site", failed.number, "Production", by="ann", reason="agreed"
    )
    retried = control.retry(site.ledger, "site", by="ann")
    ended = site.drive(retried, local=True)

    assert (failed.status, chosen) == (Status.FAILED, "before_entry")
    assert ended.status is Status.SUCCEEDED, ended.reason
    with pytest.raises(Refused, match="no condition of site #1 / Production is in the"):
        control.override(site.ledger, "site", 1, "Production", by="bob", reason="too")


def _now(site: Site, execution: Execution) -> Execution:
    return site.ledger.executions.get(execution.id)
