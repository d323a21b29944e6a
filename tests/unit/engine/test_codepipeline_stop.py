"""How CodePipeline stops executions, rule by rule; see test_codepipeline_modes.py."""

import pytest
from play import BUILD, Play, shop

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Status
from prefect_delivery.engine.steps import (
    CancelAction,
    End,
    EndStage,
    EnterStage,
    StartAction,
    Step,
    Wait,
)
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt


def two_in_order() -> Pipeline:
    actions = {"run": BUILD, "then": {**BUILD, "run_order": 2}}
    return shop(stages={"Deploy": {"needs": [], "actions": actions}})


def running(play: Play) -> Attempt:
    """An execution whose first action runs."""
    attempt = play.start(two_in_order())
    play.enter(attempt)
    play.act(attempt, Status.IN_PROGRESS)
    return attempt


def stop(play: Play, attempt: Attempt, *, abandon: bool = False) -> None:
    play.ledger.executions.request_stop(
        attempt.execution_id, by="bob", reason="wrong", abandon=abandon
    )


def kinds(steps: list[Step]) -> list[type[Step]]:
    return [type(step) for step in steps]


def test_stop_and_wait(play: Play) -> None:
    """To stop and wait lets running actions end and starts nothing new; the execution is stopping, and then stopped."""
    attempt = running(play)
    stop(play, attempt)

    assert kinds(play.steps(attempt)) == [Wait]
    assert play.status(attempt) is Status.STOPPING

    play.ledger.executions.end_action(attempt, "Deploy", "run", 1, Status.SUCCEEDED)
    said = "stopped by bob: wrong"
    assert play.steps(attempt) == [EndStage("Deploy", Status.STOPPED, said)]
    play.leave(attempt, Status.STOPPED, end=False)
    assert play.steps(attempt) == [End(Status.STOPPED, said)]


def test_stop_twice(play: Play) -> None:
    """A second request to stop and wait is refused while the execution stops.

    It changes nothing, and is not refused: whoever asks again, for example since the
    answer got lost, has what they want.
    """
    attempt = running(play)
    stop(play, attempt)
    before = play.get(attempt)
    stop(play, attempt)

    assert play.get(attempt) == before


def test_abandon_while_stopping(play: Play) -> None:
    """To stop and abandon is allowed also while the execution stops."""
    attempt = running(play)
    stop(play, attempt)
    stop(play, attempt, abandon=True)

    assert CancelAction in kinds(play.steps(attempt))


def test_abandon_ends_what_runs(play: Play) -> None:
    """What is abandoned keeps running at its provider: nothing is cancelled there.

    What runs is really ended: processes, builds and rollouts of an abandoned execution
    would otherwise change the target behind the back of the next one.
    """
    attempt = running(play)
    stop(play, attempt, abandon=True)

    [cancel, wait] = play.steps(attempt)
    assert cancel == CancelAction("Deploy", "run", 1, "stopped by bob: wrong", False)
    assert isinstance(wait, Wait)


def test_a_stopped_one_is_retried(play: Play) -> None:
    """A stopped execution can be retried at its stage."""
    attempt = running(play)
    stop(play, attempt, abandon=True)
    play.ledger.executions.end_action(attempt, "Deploy", "run", 1, Status.FAILED)
    play.leave(attempt, Status.STOPPED)

    play.reopen(attempt)
    play.enter(attempt)

    assert play.steps(attempt) == [StartAction("Deploy", "run", 2)]


def test_a_stopped_one_does_not_enter(play: Play) -> None:
    """An execution that is stopped while it waits before a stage does not enter later, and cannot be retried.

    It does not enter by itself, but a person may retry it there: it has done nothing
    yet that could not be begun.
    """
    first, second = play.start(two_in_order()), play.start(two_in_order())
    play.enter(first)
    play.enter(second)
    stop(play, second)

    [step] = play.steps(second)
    assert step == EndStage("Deploy", Status.STOPPED, "stopped by bob: wrong")
    play.leave(second, Status.STOPPED)
    play.act(first)
    play.leave(first)
    assert play.steps(second) == []

    play.reopen(second)
    assert play.steps(second) == [EnterStage("Deploy")]


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.STOPPED])
def test_what_has_ended(play: Play, status: Status) -> None:
    """An execution that does not run cannot be stopped."""
    attempt = play.start(two_in_order())
    play.through(attempt, status)

    with pytest.raises(Refused, match=f"has ended: {status}"):
        stop(play, attempt)


def test_any_length_of_reason(play: Play) -> None:
    """The reason of a stop has at most 200 characters.

    It is kept whole, whatever its length.
    """
    attempt = running(play)
    play.ledger.executions.request_stop(
        attempt.execution_id, by="bob", reason="w" * 1000
    )

    wish = play.get(attempt).stop
    assert wish and wish.reason == "w" * 1000
