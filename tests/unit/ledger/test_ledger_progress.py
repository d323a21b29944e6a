from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from prefect_delivery.engine.state import ArtifactRef, Execution, Status
from prefect_delivery.errors import ActionFailed, Refused
from prefect_delivery.ledger import Attempt, Ledger


def test_an_execution_is_told_stage_by_stage(
    ledger: Ledger,
    attempt: Attempt,
    clock: list[datetime],
    pass_time: Callable[[float], None],
) -> None:
    began = clock[0]
    site = ArtifactRef(digest="a" * 64, size=12)
    executions = ledger.executions

    attempt = executions.claim(
        attempt.execution_id, holder=attempt.holder, ttl=30, flow_run="flow-run"
    )
    executions.enter_stage(attempt, "Source")
    executions.begin_action(attempt, "Source", "run", 1)
    pass_time(3)
    executions.end_action(
        attempt,
        "Source",
        "run",
        1,
        Status.FAILED,
        error="no such branch\0",
        link="https://example.org/1",
        reports=[{"kind": "tests", "failed": 1}],
    )
    executions.begin_action(attempt, "Source", "run", 2)
    executions.end_action(
        attempt,
        "Source",
        "run",
        2,
        Status.SUCCEEDED,
        summary="c0ffee",
        artifacts={"site": site},
        variables={"commit": "c0ffee"},
    )
    executions.note_revision(attempt, "run", "c0ffee")
    executions.end_stage(attempt, "Source", Status.SUCCEEDED)
    executions.end_stage(attempt, "Build", Status.SKIPPED, "not on main")
    executions.end(attempt, Status.SUCCEEDED)

    found = executions.get(attempt.execution_id)
    failed, succeeded = found.stages["Source"].actions["run"]
    assert (found.flow_run, found.revisions) == ("flow-run", {"run": "c0ffee"})
    assert (found.status, found.ended) == (Status.SUCCEEDED, clock[0])
    assert (failed.status, failed.error) == (Status.FAILED, r"no such branch\x00")
    assert (failed.started, failed.ended) == (began, began + timedelta(seconds=3))
    assert failed.reports == [{"kind": "tests", "failed": 1}]
    assert succeeded.artifacts == {"site": site}
    assert succeeded.variables == {"commit": "c0ffee"}
    assert list(found.stages) == ["Source", "Build"]
    assert found.stages["Source"].status is Status.SUCCEEDED
    assert found.stages["Build"].reason == "not on main"


def test_what_is_reported_twice_is_recorded_once(
    ledger: Ledger, attempt: Attempt
) -> None:
    executions = ledger.executions
    for _ in range(2):
        executions.enter_stage(attempt, "Source")
        executions.begin_action(attempt, "Source", "run", 1)
    for _ in range(2):
        executions.end_action(attempt, "Source", "run", 1, Status.SUCCEEDED)

    verbs = [entry.verb for entry in ledger.audit.entries()]
    assert verbs[:3] == ["end action", "begin action", "enter stage"]
    assert verbs.count("begin action") == 1


def test_actions_begin_in_entered_stages_and_in_turn(
    ledger: Ledger, attempt: Attempt
) -> None:
    with pytest.raises(Refused, match="stage 'Source' of shop #1 was not entered"):
        ledger.executions.begin_action(attempt, "Source", "run", 1)
    ledger.executions.enter_stage(attempt, "Source")

    with pytest.raises(Refused, match="had 0 attempts; 2 is not the next"):
        ledger.executions.begin_action(attempt, "Source", "run", 2)
    with pytest.raises(Refused, match="attempt 1 at shop #1 / Source / run was not"):
        ledger.executions.end_action(attempt, "Source", "run", 1, Status.SUCCEEDED)


def test_what_has_ended_stays_so(ledger: Ledger, attempt: Attempt) -> None:
    executions = ledger.executions
    executions.enter_stage(attempt, "Source")
    executions.begin_action(attempt, "Source", "run", 1)
    executions.end_action(attempt, "Source", "run", 1, Status.FAILED, error="x")
    executions.end_stage(attempt, "Source", Status.FAILED)
    executions.end(attempt, Status.FAILED)

    with pytest.raises(Refused, match="run has ended: failed at 2026-03-29"):
        executions.end_action(attempt, "Source", "run", 1, Status.SUCCEEDED)
    with pytest.raises(Refused, match="1 is not the next"):
        executions.begin_action(attempt, "Source", "run", 1)
    with pytest.raises(Refused, match="stage 'Source' of shop #1 has ended"):
        executions.enter_stage(attempt, "Source")
    with pytest.raises(Refused, match="shop #1 has ended: failed"):
        executions.set_status(attempt, Status.IN_PROGRESS)


def test_output_variables_have_a_limit(ledger: Ledger, attempt: Attempt) -> None:
    ledger.executions.enter_stage(attempt, "Source")
    ledger.executions.begin_action(attempt, "Source", "run", 1)

    with pytest.raises(ActionFailed, match="take 122,881 bytes; 122,880 are the most"):
        ledger.executions.end_action(
            attempt, "Source", "run", 1, Status.SUCCEEDED, variables={"a": "b" * 122872}
        )

    ledger.executions.end_action(
        attempt, "Source", "run", 1, Status.SUCCEEDED, variables={"a": "b" * 122871}
    )


def test_an_execution_waits_and_goes_on(
    ledger: Ledger, execution: Execution, attempt: Attempt
) -> None:
    ledger.executions.set_status(attempt, Status.WAITING)
    waiting = ledger.executions.get(execution.id).status
    ledger.executions.set_status(attempt, Status.IN_PROGRESS)

    assert waiting is Status.WAITING
    assert ledger.executions.get(execution.id).status is Status.IN_PROGRESS
