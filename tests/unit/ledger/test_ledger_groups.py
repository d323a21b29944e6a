"""Stages of several pipelines in one group, and approvals that newer ones supersede."""

from collections.abc import Callable

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.gate import Enter, Hold, Superseded
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt, Ledger

DEPLOY = {"deploy": {"uses": "deploy/environment"}}
APPROVE = {
    "lint": {"uses": "test/commands"},
    "ask": {"uses": "approval/manual", "run_order": 2},
}


def grouped(name: str, mode: str = "superseded") -> Pipeline:
    stages = {"Deploy": {"actions": DEPLOY, "concurrency_group": "database"}}
    return Pipeline.model_validate({"pipeline": name, "mode": mode, "stages": stages})


def asking(*, supersede: bool = True) -> Pipeline:
    stage = {"actions": APPROVE, "supersede_approvals": supersede}
    return Pipeline.model_validate({"pipeline": "shop", "stages": {"Approve": stage}})


def arrive(ledger: Ledger, definition: Pipeline) -> Attempt:
    execution = ledger.executions.start(definition, variables={}, started_by="ann")
    return ledger.executions.claim(execution.id, holder=execution.title, ttl=60)


def enter(ledger: Ledger, attempt: Attempt, stage: str = "Deploy") -> object:
    return ledger.executions.enter_stage(attempt, stage)


def leave(ledger: Ledger, attempt: Attempt, stage: str = "Deploy") -> None:
    ledger.executions.end_stage(attempt, stage, Status.SUCCEEDED)
    ledger.executions.end(attempt, Status.SUCCEEDED)


def status(ledger: Ledger, attempt: Attempt) -> Status:
    return ledger.executions.get(attempt.execution_id).status


def test_one_execution_of_all_pipelines_of_a_group_is_inside(ledger: Ledger) -> None:
    shop, blog = arrive(ledger, grouped("shop")), arrive(ledger, grouped("blog"))
    assert enter(ledger, shop) == Enter()

    assert enter(ledger, blog) == Hold(reason="shop #1 / Deploy is in its group")
    leave(ledger, shop)

    assert enter(ledger, blog) == Enter()


def test_another_group_or_none_is_not_in_the_way(ledger: Ledger) -> None:
    other = grouped("blog").model_dump()
    other["stages"]["Deploy"]["concurrency_group"] = "cache"
    enter(ledger, arrive(ledger, grouped("shop")))

    assert enter(ledger, arrive(ledger, Pipeline.model_validate(other))) == Enter()


def test_two_stages_of_one_execution_can_exclude_each_other(ledger: Ledger) -> None:
    stage = {"actions": DEPLOY, "concurrency_group": "database", "needs": []}
    both = Pipeline.model_validate(
        {"pipeline": "shop", "stages": {"Europe": stage, "Asia": stage}}
    )
    attempt = arrive(ledger, both)

    assert enter(ledger, attempt, "Europe") == Enter()
    assert enter(ledger, attempt, "Asia") == Hold(
        reason="shop #1 / Europe is in its group"
    )


@pytest.mark.parametrize("mode", ["superseded", "queued", "parallel"])
def test_pipelines_take_turns_however_many_of_one_wait(
    ledger: Ledger, mode: str
) -> None:
    shop, blog = grouped("shop", mode), grouped("blog", mode)
    inside = arrive(ledger, shop)
    enter(ledger, inside)
    waiting = [arrive(ledger, shop), arrive(ledger, blog), arrive(ledger, blog)]
    waiting += [arrive(ledger, shop), arrive(ledger, shop)]
    for attempt in waiting:
        enter(ledger, attempt)

    served = []
    while waiting:
        leave(ledger, inside)
        for attempt in [*waiting]:
            verdict = enter(ledger, attempt)
            if isinstance(verdict, Superseded):
                waiting.remove(attempt)
            if isinstance(verdict, Enter):
                waiting.remove(attempt)
                served.append(attempt.holder)
                inside = attempt

    assert (
        served
        == {
            "superseded": ["shop #4", "blog #2"],
            "queued": ["shop #2", "blog #1", "shop #3", "blog #2", "shop #4"],
            "parallel": ["shop #2", "blog #1", "shop #3", "blog #2", "shop #4"],
        }[mode]
    )


def test_a_pipeline_that_waits_before_a_frozen_stage_keeps_nobody_up(
    ledger: Ledger,
) -> None:
    inside, shop = arrive(ledger, grouped("site")), arrive(ledger, grouped("shop"))
    blog = arrive(ledger, grouped("blog"))
    for attempt in (inside, shop, blog):
        enter(ledger, attempt)
    ledger.transitions.disable("shop", "Deploy", by="ann", reason="holiday")
    leave(ledger, inside)

    assert enter(ledger, blog) == Enter()
    ledger.transitions.enable("shop", "Deploy", by="ann")
    leave(ledger, blog)
    assert enter(ledger, shop) == Enter()


def test_a_pipeline_whose_process_has_died_in_the_line_keeps_nobody_up(
    ledger: Ledger, pass_time: Callable[[float], None]
) -> None:
    inside, dead = arrive(ledger, grouped("site")), arrive(ledger, grouped("shop"))
    blog = arrive(ledger, grouped("blog"))
    for attempt in (inside, dead, blog):
        enter(ledger, attempt)
    pass_time(50)
    ledger.executions.renew(blog)
    leave(ledger, inside)

    assert enter(ledger, blog) == Hold(reason="shop #1 / Deploy is before it")
    pass_time(20)
    assert enter(ledger, blog) == Enter()


def test_a_stage_that_is_retried_takes_a_new_turn(ledger: Ledger) -> None:
    shop, blog = arrive(ledger, grouped("shop")), arrive(ledger, grouped("blog"))
    enter(ledger, shop)
    enter(ledger, blog)
    ledger.executions.end_stage(shop, "Deploy", Status.FAILED)
    ledger.executions.end(shop, Status.FAILED)

    ledger.executions.reopen(shop.execution_id, "Deploy", by="ann")

    assert enter(ledger, shop) == Hold(reason="blog #1 / Deploy is before it")
    assert enter(ledger, blog) == Enter()


def ask(ledger: Ledger, definition: Pipeline) -> Attempt:
    """An execution that waits for an approval, and for nothing else."""
    attempt = arrive(ledger, definition)
    assert isinstance(enter(ledger, attempt, "Approve"), Enter)
    for action, ends in (("lint", Status.SUCCEEDED), ("ask", Status.WAITING)):
        ledger.executions.begin_action(attempt, "Approve", action, 1)
        ledger.executions.end_action(attempt, "Approve", action, 1, ends)
    ledger.executions.set_status(attempt, Status.WAITING)
    return attempt


def test_a_newer_execution_takes_the_place_of_one_that_waits_for_an_approval(
    ledger: Ledger,
) -> None:
    older = ask(ledger, asking())

    verdict = enter(ledger, arrive(ledger, asking()), "Approve")

    assert verdict == Enter(over=1)
    ended = ledger.executions.get(older.execution_id)
    assert (ended.status, ended.reason) == (
        Status.SUPERSEDED,
        "superseded by #2 in Approve",
    )
    [run] = ended.stages["Approve"].actions["ask"]
    assert (run.status, run.error) == (Status.STOPPED, "superseded by #2 in Approve")
    with pytest.raises(Refused, match="waits no more"):
        ledger.executions.decide(
            older.execution_id, "Approve", "ask", by="bob", approved=True
        )
    with pytest.raises(Refused, match="has ended"):
        ledger.executions.begin_action(older, "Approve", "ask", 2)
    ledger.audit.verify()


def test_by_default_what_waits_for_an_approval_stays(ledger: Ledger) -> None:
    older = ask(ledger, asking(supersede=False))

    verdict = enter(ledger, arrive(ledger, asking()), "Approve")

    assert verdict == Hold(reason="#1 is in it", for_people=True)
    assert status(ledger, older) is Status.WAITING


def test_what_still_works_beside_its_approval_stays(ledger: Ledger) -> None:
    older = ask(ledger, asking())
    ledger.executions.begin_action(older, "Approve", "lint", 2)

    assert enter(ledger, arrive(ledger, asking()), "Approve") == Hold(
        reason="#1 is in it", for_people=True
    )


def test_a_frozen_stage_supersedes_no_approval(ledger: Ledger) -> None:
    older = ask(ledger, asking())
    ledger.transitions.disable("shop", "Approve", by="ann", reason="holiday")

    assert isinstance(enter(ledger, arrive(ledger, asking()), "Approve"), Hold)
    assert status(ledger, older) is Status.WAITING


def test_what_is_superseded_before_one_stage_ends_what_it_is_inside_of(
    ledger: Ledger,
) -> None:
    stage = {"actions": DEPLOY, "needs": []}
    both = Pipeline.model_validate(
        {"pipeline": "shop", "stages": {"Europe": stage, "Asia": stage}}
    )
    older, newer = arrive(ledger, both), arrive(ledger, both)
    enter(ledger, older, "Europe")
    enter(ledger, newer, "Asia")

    assert enter(ledger, older, "Asia") == Superseded(by=2)

    stages = ledger.executions.get(older.execution_id).stages
    assert {name: run.status for name, run in stages.items()} == {
        "Europe": Status.IN_PROGRESS,
        "Asia": Status.SUPERSEDED,
    }
    assert status(ledger, older) is Status.IN_PROGRESS
