"""What the ledger keeps of rules: their time, their overrides, and no noise."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from prefect_delivery.engine.state import ActionRun, Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt, Ledger

RULE = ("Build", "before_entry:hours", 1)


@pytest.fixture
def asked(ledger: Ledger, attempt: Attempt, clock: list[datetime]) -> Attempt:
    """An attempt whose stage `Build` asks a rule again in a minute."""
    ledger.executions.enter_stage(attempt, "Build")
    ledger.executions.begin_action(attempt, *RULE)
    wait(ledger, attempt, clock)
    return attempt


def wait(ledger: Ledger, attempt: Attempt, clock: list[datetime]) -> None:
    due = clock[0] + timedelta(minutes=1)
    ledger.executions.end_action(attempt, *RULE, Status.WAITING, due=due)


def run_of(ledger: Ledger, attempt: Attempt) -> ActionRun:
    execution = ledger.executions.get(attempt.execution_id)
    [run] = execution.stages["Build"].actions[RULE[1]]
    return run


def test_a_rule_that_is_asked_again_keeps_its_run(
    ledger: Ledger, asked: Attempt, clock: list[datetime]
) -> None:
    due = run_of(ledger, asked).due

    ledger.executions.ask_again(asked, *RULE)
    running = run_of(ledger, asked).status
    ledger.executions.end_action(asked, *RULE, Status.SUCCEEDED)

    assert due == clock[0] + timedelta(minutes=1)
    assert running is Status.IN_PROGRESS
    assert run_of(ledger, asked).due is None


def test_a_rule_that_is_asked_a_hundred_times_fills_no_audit_log(
    ledger: Ledger,
    asked: Attempt,
    clock: list[datetime],
    pass_time: Callable[[float], None],
) -> None:
    before = len(ledger.audit.entries())

    for _ in range(100):
        pass_time(60)
        ledger.executions.ask_again(asked, *RULE)
        wait(ledger, asked, clock)
    ledger.executions.end_action(asked, *RULE, Status.FAILED, error="closed")

    assert len(ledger.audit.entries()) == before + 1


def test_what_has_ended_is_not_asked_again(ledger: Ledger, asked: Attempt) -> None:
    ledger.executions.end_action(asked, *RULE, Status.SUCCEEDED)

    with pytest.raises(Refused, match="does not wait for its time"):
        ledger.executions.ask_again(asked, *RULE)


def test_a_rule_that_waits_for_its_time_is_nobodys_to_approve(
    ledger: Ledger, asked: Attempt
) -> None:
    with pytest.raises(Refused, match="does not wait for a decision"):
        ledger.executions.decide(asked.execution_id, *RULE[:2], by="ann", approved=True)


def test_an_override_is_kept_with_its_reason_and_made_once(
    ledger: Ledger, asked: Attempt
) -> None:
    def override(by: str) -> None:
        ledger.executions.override(
            asked.execution_id, "Build", "before_entry", by=by, reason="hotfix"
        )

    override("ann")

    stage = ledger.executions.get(asked.execution_id).stages["Build"]
    assert stage.overridden == {"before_entry": "ann: hotfix"}
    entry = ledger.audit.entries()[0]
    assert (entry.actor, entry.verb) == ("ann", "override condition")
    with pytest.raises(Refused, match="is overridden by ann: hotfix"):
        override("bob")


def test_a_stage_that_was_not_entered_has_nothing_to_override(
    ledger: Ledger, execution: Execution
) -> None:
    with pytest.raises(Refused, match="'Build' of shop #1 was not entered"):
        ledger.executions.override(
            execution.id, "Build", "before_entry", by="ann", reason="x"
        )


def test_a_retry_asks_rules_again_that_held(ledger: Ledger, asked: Attempt) -> None:
    ledger.executions.end_action(asked, *RULE, Status.SUCCEEDED)

    ledger.executions.retry_stage(asked, "Build", all_actions=False)

    stage = ledger.executions.get(asked.execution_id).stages["Build"]
    assert stage.baseline == {"before_entry:hours": 1}
