"""The ledger keeps why and how long a stage has waited."""

from collections.abc import Callable

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Status
from prefect_delivery.ledger import Attempt, Ledger

PassTime = Callable[[float], None]


def arrive(ledger: Ledger, shop: Pipeline) -> Attempt:
    execution = ledger.executions.start(shop, variables={}, started_by="ann")
    return ledger.executions.claim(execution.id, holder=f"h{execution.number}", ttl=60)


def told(ledger: Ledger, attempt: Attempt) -> list[tuple[str, str, float | None]]:
    return [
        (
            wait.kind,
            wait.reason,
            (wait.until - wait.since).total_seconds() if wait.until else None,
        )
        for wait in ledger.waits.list(attempt.execution_id)
    ]


def test_each_reason_is_kept_with_its_time(
    ledger: Ledger, shop: Pipeline, pass_time: PassTime
) -> None:
    first, second = arrive(ledger, shop), arrive(ledger, shop)
    ledger.executions.enter_stage(first, "Build")
    ledger.executions.enter_stage(second, "Build")
    pass_time(5)
    ledger.executions.enter_stage(second, "Build")
    pass_time(2)
    ledger.transitions.disable("shop", "Build", by="bob", reason="holiday")
    ledger.executions.enter_stage(second, "Build")
    pass_time(10)
    open_wait = told(ledger, second)[-1]
    ledger.executions.end_stage(first, "Build", Status.SUCCEEDED)
    ledger.transitions.enable("shop", "Build", by="bob")
    ledger.executions.enter_stage(second, "Build")

    assert open_wait == ("transition", "was disabled by bob: holiday", None)
    assert told(ledger, first) == []
    assert told(ledger, second) == [
        ("lock", "#1 is in it", 7),
        ("transition", "was disabled by bob: holiday", 10),
    ]


def test_what_is_superseded_or_ends_waits_no_more(
    ledger: Ledger, shop: Pipeline, pass_time: PassTime
) -> None:
    first, second, third = (arrive(ledger, shop) for _ in range(3))
    for attempt in (first, second):
        ledger.executions.enter_stage(attempt, "Build")
    pass_time(3)
    ledger.executions.enter_stage(third, "Build")
    ledger.executions.enter_stage(second, "Build")
    pass_time(4)
    ledger.executions.end_stage(third, "Build", Status.STOPPED)

    assert told(ledger, second) == [("lock", "#1 is in it", 3)]
    assert told(ledger, third) == [("lock", "#1 is in it", 4)]


def test_an_execution_that_ends_waits_no_more(
    ledger: Ledger, shop: Pipeline, pass_time: PassTime
) -> None:
    first, second = arrive(ledger, shop), arrive(ledger, shop)
    ledger.executions.enter_stage(first, "Build")
    ledger.executions.enter_stage(second, "Build")
    pass_time(4)
    ledger.executions.end(second, Status.STOPPED)

    assert told(ledger, second) == [("lock", "#1 is in it", 4)]


def test_the_time_until_somebody_retries_is_kept(
    ledger: Ledger, shop: Pipeline, pass_time: PassTime
) -> None:
    attempt = arrive(ledger, shop)
    ledger.executions.enter_stage(attempt, "Build")
    ledger.executions.end_stage(attempt, "Build", Status.FAILED)
    ledger.executions.end(attempt, Status.FAILED)
    pass_time(60)
    ledger.executions.reopen(attempt.execution_id, "Build", by="bob")
    ledger.executions.enter_stage(attempt, "Build")

    assert told(ledger, attempt) == [("ended", "retried by bob", 60)]
