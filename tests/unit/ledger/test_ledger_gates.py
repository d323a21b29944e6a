"""Executions of one pipeline at the way into a stage."""

from typing import Literal

import pytest

from prefect_delivery.definition.models import Action, Pipeline, Stage
from prefect_delivery.engine.gate import Enter, Hold, Superseded
from prefect_delivery.engine.state import Carried, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt, Ledger


def pipeline(mode: str) -> Pipeline:
    action = Action(uses="build/commands")
    return Pipeline.model_validate(
        {
            "pipeline": "shop",
            "mode": mode,
            "stages": {"Build": Stage(actions={"a": action})},
        }
    )


def arrive(ledger: Ledger, mode: str = "superseded", **more: object) -> Attempt:
    execution = ledger.executions.start(
        pipeline(mode),
        variables={},
        started_by="ann",
        **more,  # type: ignore[arg-type]
    )
    return ledger.executions.claim(execution.id, holder=f"h{execution.number}", ttl=60)


def enter(ledger: Ledger, attempt: Attempt) -> object:
    return ledger.executions.enter_stage(attempt, "Build")


def leave(ledger: Ledger, attempt: Attempt, status: Status = Status.SUCCEEDED) -> None:
    ledger.executions.end_stage(attempt, "Build", status)
    ledger.executions.end(attempt, status)


def test_the_stage_is_locked_while_an_execution_is_in_it(ledger: Ledger) -> None:
    first, second = arrive(ledger), arrive(ledger)
    assert enter(ledger, first) == Enter()

    held = enter(ledger, second)
    waiting = ledger.executions.get(second.execution_id).stages["Build"]
    leave(ledger, first)

    assert held == Hold(reason="#1 is in it")
    assert (waiting.status, waiting.reason) == (Status.WAITING, "#1 is in it")
    assert enter(ledger, second) == Enter()
    entered = ledger.executions.get(second.execution_id).stages["Build"]
    assert (entered.status, entered.reason) == (Status.IN_PROGRESS, None)


def test_a_newer_execution_takes_the_place_of_one_that_waits(ledger: Ledger) -> None:
    first, second, third = arrive(ledger), arrive(ledger), arrive(ledger)
    enter(ledger, first)
    enter(ledger, second)
    enter(ledger, third)

    verdict = enter(ledger, second)

    assert verdict == Superseded(by=3)
    ended = ledger.executions.get(second.execution_id)
    assert (ended.status, ended.reason) == (
        Status.SUPERSEDED,
        "superseded by #3 before Build",
    )
    assert enter(ledger, third) == Hold(reason="#1 is in it")


def test_an_older_execution_never_follows_a_newer_one(ledger: Ledger) -> None:
    older, newer = arrive(ledger), arrive(ledger)
    enter(ledger, newer)
    leave(ledger, newer, Status.FAILED)

    assert enter(ledger, older) == Superseded(by=2)


def test_a_queue_is_first_in_first_out(ledger: Ledger) -> None:
    first, second, third = (arrive(ledger, "queued") for _ in range(3))
    enter(ledger, first)
    enter(ledger, second)
    enter(ledger, third)
    leave(ledger, first)

    assert enter(ledger, third) == Hold(reason="#2 is before it")
    assert enter(ledger, second) == Enter()


def test_parallel_executions_do_not_see_each_other(ledger: Ledger) -> None:
    first, second = arrive(ledger, "parallel"), arrive(ledger, "parallel")

    assert [enter(ledger, first), enter(ledger, second)] == [Enter(), Enter()]


def test_a_disabled_transition_lets_the_newest_in_when_enabled(ledger: Ledger) -> None:
    ledger.transitions.disable("shop", "Build", by="ann", reason="freeze")
    first, second = arrive(ledger), arrive(ledger)

    held = enter(ledger, first), enter(ledger, second)
    ledger.transitions.enable("shop", "Build", by="bob")

    assert held == (Hold(reason="was disabled by ann: freeze", for_people=True),) * 2
    assert enter(ledger, first) == Superseded(by=2)
    assert enter(ledger, second) == Enter()


def test_a_transition_is_disabled_once(ledger: Ledger) -> None:
    ledger.transitions.disable("shop", "Build", by="ann", reason="freeze")

    with pytest.raises(Refused, match="disabled by ann: freeze"):
        ledger.transitions.disable("shop", "Build", by="bob", reason="other")
    with pytest.raises(Refused, match="not disabled"):
        ledger.transitions.enable("shop", "Deploy", by="bob")

    assert [(t.stage, t.by) for t in ledger.transitions.list("shop")] == [
        ("Build", "ann")
    ]


def test_a_rollback_goes_in_after_newer_executions(ledger: Ledger) -> None:
    first = arrive(ledger)
    enter(ledger, first)
    leave(ledger, first)
    back = arrive(ledger, carried=Carried(execution=first.execution_id))
    newer = arrive(ledger)
    enter(ledger, newer)
    leave(ledger, newer)

    assert enter(ledger, back) == Enter()


def test_a_failed_execution_that_was_overtaken_cannot_be_retried(
    ledger: Ledger,
) -> None:
    failed = arrive(ledger)
    enter(ledger, failed)
    leave(ledger, failed, Status.FAILED)
    ledger.executions.leave(failed)
    newer = arrive(ledger)
    enter(ledger, newer)

    with pytest.raises(Refused, match="#2 has entered Build since"):
        ledger.executions.reopen(failed.execution_id, "Build", by="ann")


def test_a_stage_that_is_retried_by_itself_stays_in_the_stage(ledger: Ledger) -> None:
    attempt = arrive(ledger)
    enter(ledger, attempt)
    ledger.executions.begin_action(attempt, "Build", "a", 1)
    ledger.executions.end_action(attempt, "Build", "a", 1, Status.FAILED)

    ledger.executions.retry_stage(attempt, "Build", all_actions=False)

    run = ledger.executions.get(attempt.execution_id).stages["Build"]
    assert (run.status, run.baseline) == (Status.IN_PROGRESS, {"a": 1})


@pytest.mark.parametrize(
    ("purpose", "verdict"),
    [("promotion", Superseded(by=2)), ("rollback", Enter())],
)
def test_a_promotion_stands_in_line_like_any_other_execution(
    ledger: Ledger,
    shop: Pipeline,
    purpose: Literal["promotion", "rollback"],
    verdict: object,
) -> None:
    executions = ledger.executions
    first = executions.start(shop, variables={}, started_by="ann")
    carried = Carried(execution=first.id, purpose=purpose)
    later = executions.start(shop, variables={}, started_by="ann", carried=carried)
    mine, other = (executions.claim(e.id, holder="w", ttl=30) for e in (first, later))
    executions.enter_stage(other, "Build")
    executions.end_stage(other, "Build", Status.SUCCEEDED)

    assert executions.enter_stage(mine, "Build") == verdict
