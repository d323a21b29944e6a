"""CodePipeline's execution modes, rule by rule.

The first paragraph of each docstring is CodePipeline's rule; a second one says where we
differ, and why. docs/codepipeline-differences.md is made of them: see rule_table.py.
"""

import pytest
from play import ASK, BUILD, STAGES, Play, shop

from prefect_delivery.definition.structure import check_structure
from prefect_delivery.engine.gate import Enter, Hold, Superseded
from prefect_delivery.engine.state import Status
from prefect_delivery.engine.steps import StartAction
from prefect_delivery.errors import Refused

LOCKED = ["superseded", "queued"]


@pytest.mark.parametrize("mode", LOCKED)
def test_a_stage_is_locked(play: Play, mode: str) -> None:
    """A stage processes one execution at a time; it is locked while in progress."""
    first, second = play.start(shop(mode)), play.start(shop(mode))

    assert play.enter(first) == Enter()
    assert play.enter(second) == Hold(reason="#1 is in it")

    play.act(first)
    play.leave(first)
    assert play.enter(second) == Enter()


def test_waiting_is_between_stages(play: Play) -> None:
    """An execution waits between stages when the stage ahead is locked; exactly one does."""
    first, second, third = (play.start(shop()) for _ in range(3))
    play.enter(first)
    play.enter(second, "Build")
    play.act(second, stage="Build")
    play.leave(second, stage="Build", end=False)
    play.enter(second)

    assert play.enter(third, "Build") == Enter()
    assert play.stage(second).status is Status.WAITING

    play.enter(third)
    play.enter(second)
    waiting = [
        each
        for each in (first, second, third)
        if play.stage(each).status is Status.WAITING
    ]
    assert waiting == [third]


def test_the_newer_takes_the_slot(play: Play) -> None:
    """A newer execution takes the slot before a stage, and the older one is superseded and cannot be retried."""
    first, second, third = (play.start(shop()) for _ in range(3))
    play.enter(first)
    play.enter(second)
    play.enter(third)

    assert play.enter(second) == Superseded(by=3)
    assert play.status(second) is Status.SUPERSEDED
    with pytest.raises(Refused):
        play.reopen(second)


def test_what_is_inside_stays(play: Play) -> None:
    """An execution inside of a stage is never pre-empted, not even one that waits for a manual approval.

    A stage may say `supersede_approvals`: an approval that nobody gives then keeps no
    newer execution out. By default it is as in CodePipeline.
    """
    asking = {"Deploy": {"actions": {"run": ASK}}}
    yielding = {"Deploy": {"actions": {"run": ASK}, "supersede_approvals": True}}
    first, second = play.start(shop(stages=asking)), play.start(shop(stages=asking))
    play.asking(first)

    assert play.enter(second) == Hold(reason="#1 is in it", for_people=True)

    play.decide(first, approved=True)
    play.leave(first)
    third, fourth = (play.start(shop(stages=yielding)) for _ in range(2))
    play.enter(third)
    play.act(third, Status.WAITING)
    play.ledger.executions.set_status(third, Status.WAITING)
    assert play.enter(fourth) == Enter(over=3)


@pytest.mark.parametrize("end", [Status.FAILED, Status.STOPPED])
def test_a_failure_or_a_stop_unlocks(play: Play, end: Status) -> None:
    """A failure or a stop releases the lock of a stage."""
    first, second = play.start(shop()), play.start(shop())
    play.enter(first)
    play.act(first, Status.FAILED)
    play.leave(first, end)

    assert play.enter(second) == Enter()


def test_a_rejection_unlocks(play: Play) -> None:
    """A rejected or timed-out approval is a failed action, so that the lock is released."""
    asking = shop(stages={"Deploy": {"actions": {"run": ASK}}})
    first, second = play.start(asking), play.start(asking)
    play.asking(first)
    play.decide(first, approved=False)

    assert play.stage(first).actions["run"][-1].status is Status.FAILED
    play.leave(first, Status.FAILED)
    assert play.enter(second) == Enter()


@pytest.mark.parametrize("mode", LOCKED)
def test_a_later_one_ends_retries(play: Play, mode: str) -> None:
    """When a later execution enters a stage whose last one failed, that one can no longer be retried."""
    first, second = play.start(shop(mode)), play.start(shop(mode))
    play.through(first, Status.FAILED)
    play.enter(second)

    with pytest.raises(Refused, match="#2 has entered Deploy since"):
        play.reopen(first)


def test_queued_is_first_in_first_out(play: Play) -> None:
    """In mode queued, executions that wait never overtake: they form a queue before each stage."""
    first, *rest = (play.start(shop("queued")) for _ in range(4))
    play.enter(first)
    for each in reversed(rest):
        play.enter(each)
    play.leave(first)

    entered = []
    while rest:
        for each in reversed(rest):
            if play.enter(each) == Enter():
                entered.append(play.get(each).number)
                play.leave(each)
                rest.remove(each)
                break
    assert entered == [2, 3, 4]


@pytest.mark.parametrize("mode", ["queued", "parallel"])
def test_fifty_at_once(play: Play, mode: str) -> None:
    """At most 50 executions of a queued or parallel pipeline are open at once.

    There is no such limit: what waits is a row in the ledger and holds nothing.
    """
    started = [play.start(shop(mode)) for _ in range(51)]

    assert play.status(started[-1]) is Status.IN_PROGRESS


def test_the_queue_is_seen(play: Play) -> None:
    """The state of a stage lists the executions that wait before it."""
    for attempt in [play.start(shop("queued")) for _ in range(3)]:
        play.enter(attempt)

    waiting = {
        each.number: each.stages["Deploy"].reason
        for each in play.ledger.executions.list("shop", open_only=True)
        if each.stages["Deploy"].status is Status.WAITING
    }
    assert waiting == {2: "#1 is in it", 3: "#1 is in it"}


def test_parallel_has_no_locks(play: Play) -> None:
    """In mode parallel executions are independent: there are no locks and no queues."""
    started = [play.start(shop("parallel")) for _ in range(3)]

    assert [play.enter(each) for each in reversed(started)] == [Enter()] * 3


def test_five_actions_at_once(play: Play) -> None:
    """In mode parallel at most five actions of one execution run at once.

    There is no such limit: how much runs at once is what the worker can carry.
    """
    actions = {f"a{number}": BUILD for number in range(6)}
    attempt = play.start(shop("parallel", {"Deploy": {"actions": actions}}))
    play.enter(attempt)

    assert [type(step) for step in play.steps(attempt)] == [StartAction] * 6


@pytest.mark.parametrize("when", ["on_success", "on_failure"])
def test_parallel_has_no_rollback(when: str) -> None:
    """In mode parallel a stage has no rollback, and conditions that want one are refused."""
    rules = {"r": {"uses": "rule/variable-check"}}
    stages = STAGES | {
        "Deploy": {**STAGES["Deploy"], when: {"result": "rollback", "rules": rules}}
    }

    found = [finding.message for finding in check_structure(shop("parallel", stages))]

    assert "a parallel pipeline has no last success to roll back to" in found
    assert "a parallel pipeline has no last success to roll back to" not in [
        finding.message for finding in check_structure(shop("queued", stages))
    ]


def test_parallel_sources(play: Play) -> None:
    """In mode parallel, sources in CodeCommit, S3 and ECR take what is newest when they run, not what the event named.

    In every mode an execution keeps to the revisions that it was started with: what is
    deployed is what somebody pushed.
    """
    pinned = {"app": "c0ffee"}
    attempt = play.start(shop("parallel"), revisions=pinned)
    play.start(shop("parallel"), revisions={"app": "deed"})

    assert play.get(attempt).revisions == pinned


@pytest.mark.parametrize("mode", LOCKED)
def test_an_update_of_the_definition(play: Play, mode: str) -> None:
    """An update of a superseded or queued pipeline cancels all executions that are active or wait.

    It cancels none: each execution runs on the snapshot of the definition that it was
    started with, so that nothing of what it does changes under it.
    """
    first, second = play.start(shop(mode)), play.start(shop(mode))
    play.enter(first)
    play.enter(second)
    edited = shop(mode, {"Deploy": {"actions": {"other": BUILD}}})
    play.start(edited, variables={})

    assert play.status(first) is play.status(second) is Status.IN_PROGRESS
    assert [step for step in play.steps(first) if isinstance(step, StartAction)] == [
        StartAction("Deploy", "run", 1)
    ]


def test_an_update_of_a_parallel_pipeline(play: Play) -> None:
    """Executions of a parallel pipeline run on after an update, on their own definition."""
    first = play.start(shop("parallel"))
    play.enter(first)
    play.start(shop("parallel", {"Deploy": {"actions": {"other": BUILD}}}))

    started = [step for step in play.steps(first) if isinstance(step, StartAction)]
    assert started == [StartAction("Deploy", "run", 1)]


def test_out_of_parallel(play: Play) -> None:
    """When a parallel pipeline becomes queued or superseded, its parallel executions run on."""
    first, second = play.start(shop("parallel")), play.start(shop("parallel"))
    play.enter(first)
    third = play.start(shop("queued"))

    assert isinstance(play.enter(third), Hold)
    assert play.enter(second) == Enter()
    assert play.status(first) is Status.IN_PROGRESS


@pytest.mark.parametrize("mode", LOCKED)
def test_into_parallel(play: Play, mode: str) -> None:
    """When a superseded or queued pipeline becomes parallel, its executions are cancelled.

    They run on, each in the mode of its own definition: what waits goes on waiting, or
    is superseded by what is newer.
    """
    first, second = play.start(shop(mode)), play.start(shop(mode))
    play.enter(first)
    third = play.start(shop("parallel"))

    assert play.enter(third) == Enter()
    assert play.enter(second) != Enter()
    assert play.status(first) is Status.IN_PROGRESS


def test_several_queues(play: Play) -> None:
    """In mode queued there is a queue before each stage, and several at once."""
    stages = {**STAGES, "Tell": {"needs": ["Deploy"], "actions": {"run": BUILD}}}
    first, second, third, fourth = (
        play.start(shop("queued", stages)) for _ in range(4)
    )
    for attempt in (first, second):
        play.enter(attempt)
        play.leave(attempt, end=False)
    play.enter(first, "Tell")
    play.enter(third)

    assert play.enter(second, "Tell") == Hold(reason="#1 is in it")
    assert play.enter(fourth) == Hold(reason="#3 is in it")


def test_no_restart_after_an_update(play: Play) -> None:
    """Nothing is started by itself after an update."""
    play.through(play.start(shop()))

    play.ledger.deployments.note(
        shop("queued"),
        by="ann",
        deployment="d",
        origin="git",
        file="delivery.yaml",
        settings={},
    )

    assert [e.number for e in play.ledger.executions.list("shop")] == [1]
