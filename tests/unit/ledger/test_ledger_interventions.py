from collections.abc import Callable

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution, Status, Stop
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt, Ledger


@pytest.fixture
def waiting(ledger: Ledger, attempt: Attempt) -> Attempt:
    """An attempt whose action `Approve / run` waits for a decision."""
    ledger.executions.enter_stage(attempt, "Approve")
    ledger.executions.begin_action(attempt, "Approve", "run", 1)
    ledger.executions.end_action(attempt, "Approve", "run", 1, Status.WAITING)
    return attempt


@pytest.fixture
def failed(ledger: Ledger, attempt: Attempt) -> Execution:
    """An execution whose stage `Build` failed: `unit` passed, `lint` did not."""
    executions = ledger.executions
    executions.enter_stage(attempt, "Build")
    for action, status in (("unit", Status.SUCCEEDED), ("lint", Status.FAILED)):
        executions.begin_action(attempt, "Build", action, 1)
        executions.end_action(attempt, "Build", action, 1, status)
    executions.end_stage(attempt, "Build", Status.FAILED, "lint: failed")
    executions.end(attempt, Status.FAILED, "Build / lint")
    executions.leave(attempt)
    return executions.get(attempt.execution_id)


def test_an_approval_lets_the_action_succeed(ledger: Ledger, waiting: Attempt) -> None:
    ledger.executions.decide(
        waiting.execution_id, "Approve", "run", by="ann", approved=True, comment="go"
    )

    [run] = ledger.executions.get(waiting.execution_id).stages["Approve"].actions["run"]
    assert (run.status, run.summary, run.error) == (
        Status.SUCCEEDED,
        "approved by ann: go",
        None,
    )
    assert run.ended is not None


def test_a_rejection_lets_the_action_fail_for_good(
    ledger: Ledger, waiting: Attempt
) -> None:
    ledger.executions.decide(
        waiting.execution_id, "Approve", "run", by="bob", approved=False
    )

    [run] = ledger.executions.get(waiting.execution_id).stages["Approve"].actions["run"]
    assert (run.status, run.error) == (Status.FAILED, "rejected by bob")
    assert not run.retryable


def test_the_second_decision_learns_of_the_first(
    ledger: Ledger, waiting: Attempt
) -> None:
    ledger.executions.decide(
        waiting.execution_id, "Approve", "run", by="ann", approved=True
    )

    with pytest.raises(Refused, match="no more: approved by ann at 2026-03-29 00:59"):
        ledger.executions.decide(
            waiting.execution_id, "Approve", "run", by="bob", approved=False
        )


def test_what_was_decided_stands_when_the_owner_finds_the_time_over(
    ledger: Ledger, waiting: Attempt
) -> None:
    ledger.executions.decide(
        waiting.execution_id, "Approve", "run", by="ann", approved=True
    )

    ledger.executions.end_action(
        waiting, "Approve", "run", 1, Status.FAILED, error="timed out"
    )

    [run] = ledger.executions.get(waiting.execution_id).stages["Approve"].actions["run"]
    assert (run.status, run.error) == (Status.SUCCEEDED, None)
    assert not [e for e in ledger.audit.entries() if e.detail.get("error")]


def test_a_decision_that_comes_after_the_time_out_is_refused(
    ledger: Ledger, waiting: Attempt
) -> None:
    ledger.executions.end_action(waiting, "Approve", "run", 1, Status.FAILED)

    with pytest.raises(Refused, match="waits no more: failed at 2026-03-29 00:59:00"):
        ledger.executions.decide(
            waiting.execution_id, "Approve", "run", by="ann", approved=True
        )


def test_only_what_waits_is_decided(ledger: Ledger, attempt: Attempt) -> None:
    ledger.executions.enter_stage(attempt, "Approve")

    with pytest.raises(Refused, match="shop #1 / Approve / run has not begun"):
        ledger.executions.decide(
            attempt.execution_id, "Approve", "run", by="ann", approved=True
        )
    ledger.executions.begin_action(attempt, "Approve", "run", 1)
    with pytest.raises(Refused, match="does not wait for a decision: in-progress"):
        ledger.executions.decide(
            attempt.execution_id, "Approve", "run", by="ann", approved=True
        )


def test_nothing_is_decided_in_an_execution_that_has_ended(
    ledger: Ledger, waiting: Attempt
) -> None:
    ledger.executions.end(waiting, Status.STOPPED)

    with pytest.raises(Refused, match="shop #1 has ended: stopped"):
        ledger.executions.decide(
            waiting.execution_id, "Approve", "run", by="ann", approved=True
        )


def test_the_first_wish_to_stop_counts_until_one_asks_to_abandon(
    ledger: Ledger, execution: Execution
) -> None:
    stop = ledger.executions.request_stop
    stop(execution.id, by="ann", reason="wrong branch")
    stop(execution.id, by="bob", reason="me too")
    first = ledger.executions.get(execution.id).stop
    stop(execution.id, by="cid", reason="now", abandon=True)
    stop(execution.id, by="dan", reason="gently")

    assert first == Stop(by="ann", reason="wrong branch")
    assert ledger.executions.get(execution.id).stop == Stop(
        by="cid", reason="now", abandon=True
    )


def test_what_has_ended_cannot_be_stopped(ledger: Ledger, failed: Execution) -> None:
    with pytest.raises(Refused, match="shop #1 has ended: failed"):
        ledger.executions.request_stop(failed.id, by="ann", reason="late")


def test_a_retry_runs_what_failed_again(ledger: Ledger, failed: Execution) -> None:
    ledger.executions.reopen(failed.id, "Build", by="ann")

    found = ledger.executions.get(failed.id)
    build = found.stages["Build"]
    assert (found.status, found.ended, found.reason) == (Status.IN_PROGRESS, None, None)
    assert (build.status, build.ended, build.reason) == (Status.WAITING, None, None)
    assert build.baseline == {"lint": 1}
    assert len(build.actions["lint"]) == 1


def test_a_retry_of_all_actions_runs_those_that_succeeded_too(
    ledger: Ledger, failed: Execution
) -> None:
    ledger.executions.reopen(failed.id, "Build", by="ann", all_actions=True)

    build = ledger.executions.get(failed.id).stages["Build"]
    assert build.baseline == {"unit": 1, "lint": 1}


def test_a_second_retry_counts_from_the_attempts_so_far(
    ledger: Ledger, failed: Execution
) -> None:
    executions = ledger.executions
    executions.reopen(failed.id, "Build", by="ann", all_actions=True)
    attempt = executions.claim(failed.id, holder="worker", ttl=30)
    executions.begin_action(attempt, "Build", "lint", 2)
    executions.end_action(attempt, "Build", "lint", 2, Status.FAILED)
    executions.end_stage(attempt, "Build", Status.FAILED)

    executions.reopen(failed.id, "Build", by="ann")

    assert executions.get(failed.id).stages["Build"].baseline == {"unit": 1, "lint": 2}


def test_a_retry_forgets_that_the_execution_was_stopped(
    ledger: Ledger, attempt: Attempt
) -> None:
    executions = ledger.executions
    executions.enter_stage(attempt, "Build")
    executions.request_stop(attempt.execution_id, by="ann", reason="oops")
    executions.end_stage(attempt, "Build", Status.STOPPED)
    executions.end(attempt, Status.STOPPED)

    executions.reopen(attempt.execution_id, "Build", by="ann")

    assert executions.get(attempt.execution_id).stop is None


def test_only_a_stage_that_failed_is_retried(ledger: Ledger, attempt: Attempt) -> None:
    with pytest.raises(Refused, match="stage 'Build' of shop #1 was not entered"):
        ledger.executions.reopen(attempt.execution_id, "Build", by="ann")
    ledger.executions.enter_stage(attempt, "Build")

    with pytest.raises(Refused, match="did not fail: in-progress"):
        ledger.executions.reopen(attempt.execution_id, "Build", by="ann")


def test_what_was_stopped_between_two_stages_goes_on(
    ledger: Ledger, attempt: Attempt
) -> None:
    ledger.executions.enter_stage(attempt, "Source")
    ledger.executions.end_stage(attempt, "Source", Status.SUCCEEDED)
    ledger.executions.request_stop(attempt.execution_id, by="bob", reason="lunch")
    ledger.executions.end(attempt, Status.STOPPED, "stopped by bob: lunch")
    ledger.executions.leave(attempt)

    ledger.executions.resume(attempt.execution_id, by="ann")

    going = ledger.executions.get(attempt.execution_id)
    assert (going.status, going.stop, going.ended) == (Status.IN_PROGRESS, None, None)
    assert [*going.stages] == ["Source"]
    last = ledger.audit.entries()[0]
    assert (last.actor, last.verb, last.subject) == ("ann", "reopen", "shop #1")


def test_what_was_not_stopped_between_two_stages_is_not_resumed(
    ledger: Ledger, attempt: Attempt
) -> None:
    with pytest.raises(Refused, match="was not stopped: in-progress"):
        ledger.executions.resume(attempt.execution_id, by="ann")
    ledger.executions.enter_stage(attempt, "Source")
    ledger.executions.end_stage(attempt, "Source", Status.STOPPED)
    ledger.executions.end(attempt, Status.STOPPED)

    with pytest.raises(Refused, match="was stopped in Source"):
        ledger.executions.resume(attempt.execution_id, by="ann")


def test_silence_is_counted_from_the_last_time_somebody_wanted_it_to_go_on(
    ledger: Ledger,
    shop: Pipeline,
    pass_time: Callable[[float], None],
) -> None:
    started = ledger.executions.start(shop, variables={}, started_by="ann")
    pass_time(7)
    assert ledger.executions.silence(started.id) == 7
    attempt = ledger.executions.claim(started.id, holder="worker", ttl=30)
    ledger.executions.end(attempt, Status.STOPPED)
    ledger.executions.leave(attempt)
    pass_time(7)
    ledger.executions.resume(started.id, by="ann")
    pass_time(2)

    assert ledger.executions.silence(started.id) == 2
