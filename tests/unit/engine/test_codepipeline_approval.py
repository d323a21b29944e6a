"""CodePipeline's manual approvals, rule by rule; see test_codepipeline_modes.py."""

from datetime import timedelta
from typing import Any

import pytest
from play import ASK, Play, shop
from pydantic import ValidationError

from prefect_delivery import control
from prefect_delivery.approvals import view_of
from prefect_delivery.cli.approvals import approval_data, approval_lines
from prefect_delivery.cli.story import story_lines
from prefect_delivery.definition.models import Action, Pipeline
from prefect_delivery.engine.gate import Hold
from prefect_delivery.engine.state import Status
from prefect_delivery.engine.steps import CancelAction, EndStage
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt
from prefect_delivery.story import story_of
from prefect_delivery.tasks.approval.manual import ask


def asking(**more: Any) -> Pipeline:
    actions = {"run": {**ASK, **more}}
    return shop(stages={"Deploy": {"needs": [], "actions": actions}})


def waiting(play: Play, **more: Any) -> Attempt:
    attempt = play.start(asking(**more))
    play.asking(attempt)
    return attempt


def test_the_stage_stays_locked(play: Play) -> None:
    """A stage stays locked while an approval in it waits."""
    waiting(play)

    assert play.enter(play.start(asking())) == Hold(
        reason="#1 is in it", for_people=True
    )


def test_time_out(play: Play) -> None:
    """An approval that times out fails its action and its stage."""
    attempt = waiting(play, timeout=60)
    play.wait(minutes=60)

    cancel = play.steps(attempt)[0]
    assert isinstance(cancel, CancelAction)
    at = (attempt, "Deploy", "run", 1, Status.FAILED)
    play.ledger.executions.end_action(*at, error=cancel.reason, retryable=False)
    assert play.steps(attempt) == [
        EndStage("Deploy", Status.FAILED, "run: timed out after 60 min")
    ]


def test_seven_days(play: Play) -> None:
    """An approval waits seven days unless it says otherwise.

    It waits as long as it takes, unless its `timeout` says otherwise. What waits holds
    no process, and a default that fails a release on the eighth day surprises people.
    """
    attempt = waiting(play)
    play.wait(days=365)

    assert not [s for s in play.steps(attempt) if isinstance(s, CancelAction)]


@pytest.mark.parametrize("minutes", [0.5, 86_400])
def test_five_minutes_to_sixty_days(minutes: float) -> None:
    """An approval's time-out is 5 minutes at least and 60 days at most.

    Sixty days are the most here, too; less than 5 minutes is allowed, since any action
    may have such a time-out, and tests use it.
    """
    assert Action.model_validate({**ASK, "timeout": minutes}).timeout == minutes
    with pytest.raises(ValidationError):
        Action.model_validate({**ASK, "timeout": 86_401})


def test_rejection(play: Play) -> None:
    """An approval that is rejected fails its action and its stage."""
    attempt = waiting(play)
    play.decide(attempt, approved=False)

    assert play.steps(attempt) == [
        EndStage("Deploy", Status.FAILED, "run: rejected by bob")
    ]


def test_an_answer_is_final(play: Play) -> None:
    """An approval that was answered or has expired takes no other answer."""
    answered, expired = waiting(play), None
    play.decide(answered, approved=True)
    with pytest.raises(Refused, match="waits no more: approved by bob"):
        play.decide(answered, "cid", approved=False)
    play.leave(answered)

    expired = waiting(play, timeout=60)
    play.wait(minutes=61)
    with pytest.raises(Refused, match="timed out at"):
        play.decide(expired, approved=True)


def test_an_answer_is_for_one_token(play: Play) -> None:
    """An answer names the token of what was asked; another token is refused.

    The token is a fingerprint of what there is to decide: artifacts, revisions and
    definition. So an answer is not only for one question, but for what was seen.
    """
    attempt = waiting(play)

    with pytest.raises(Refused, match="has changed since it was shown"):
        play.ledger.executions.decide(
            attempt.execution_id, "Deploy", "run", by="bob", approved=True, seen="0"
        )


def test_a_retry_asks_anew(play: Play) -> None:
    """A retry of the stage asks again, under a new token."""
    attempt = waiting(play)
    play.decide(attempt, approved=False)
    play.leave(attempt, Status.FAILED)
    play.reopen(attempt)
    play.asking(attempt)

    runs = play.stage(attempt).actions["run"]
    assert [run.status for run in runs] == [Status.FAILED, Status.WAITING]
    play.decide(attempt, approved=True)
    assert play.stage(attempt).actions["run"][-1].status is Status.SUCCEEDED


def test_any_length_of_comment(play: Play) -> None:
    """The summary of an answer has at most 512 characters.

    A comment is kept whole, whatever its length.
    """
    attempt = waiting(play)
    play.ledger.executions.decide(
        attempt.execution_id,
        "Deploy",
        "run",
        by="bob",
        approved=True,
        comment="c" * 1000,
    )

    [vote] = play.ledger.votes.list(attempt.execution_id)["Deploy", "run", 1]
    assert vote.comment == "c" * 1000


def test_one_approver_is_enough(play: Play) -> None:
    """One person approves; there is no quorum.

    So it is unless an approval or the environment names people: then n of m, and each
    of several groups, must approve.
    """
    attempt = waiting(play)
    play.decide(attempt, approved=True)
    play.leave(attempt)
    more = waiting(play, **{"with": {"approvers": ["bob", "cid"], "count": 2}})
    play.decide(more, approved=True)
    before = play.stage(more).actions["run"][-1].status
    play.decide(more, "cid", approved=True)

    assert play.stage(attempt).actions["run"][-1].status is Status.SUCCEEDED
    assert before is Status.WAITING
    assert play.stage(more).actions["run"][-1].status is Status.SUCCEEDED


def test_approving_what_one_has_started(play: Play) -> None:
    """There is no rule against approving one's own change.

    Where an approval or an environment names people, nobody approves what they wrote
    or started, unless it says so; where nobody is named, anybody may.
    """
    attempt = waiting(play)
    play.decide(attempt, "ann", approved=True)
    play.leave(attempt)
    named = waiting(play, **{"with": {"approvers": ["ann", "bob"]}})

    with pytest.raises(Refused, match="ann wrote or started it"):
        play.decide(named, "ann", approved=True)


def test_what_is_told(play: Play) -> None:
    """Approvers are told the comments and the link of the definition, when it expires, and where to answer."""
    attempt = play.start(asking(timeout=60))
    play.enter(attempt)
    told = ask.fn(message="look at staging", link="https://staging.shop.example")
    play.act(
        attempt,
        Status.WAITING,
        summary=told.summary,
        link=told.link,
        variables=told.variables,
    )

    view = view_of(play.ledger, play.get(attempt), "Deploy", "run")
    data, lines = approval_data(view), approval_lines(view)

    assert lines[:2] == ["asks: look at staging", "see: https://staging.shop.example"]
    assert data["message"] == "look at staging"
    assert data["link"] == "https://staging.shop.example"
    assert data["deadline"] == view.run.started + timedelta(minutes=60)
    assert (data["stage"], data["action"]) == ("Deploy", "run")
    assert data["fingerprint"] == view.fingerprint


def test_it_is_told_afterwards_too(play: Play) -> None:
    """The history of an approval has its comments, its link and its answer."""
    attempt = play.start(asking())
    play.enter(attempt)
    told = ask.fn(message="look at staging", link="https://staging.shop.example")
    play.act(
        attempt,
        Status.WAITING,
        summary=told.summary,
        link=told.link,
        variables=told.variables,
    )
    play.decide(attempt, approved=True)

    story = story_of(play.ledger, play.get(attempt), play.clock[0])
    lines = [line.strip() for line in story_lines(story, play.clock[0])]
    assert "asked: look at staging" in lines
    assert "see https://staging.shop.example" in lines
    assert any(line.startswith("bob approved 20") for line in lines)


def test_an_answer_has_its_time(play: Play) -> None:
    """An answer gets the time at which it was given."""
    attempt = waiting(play)
    play.wait(minutes=7)
    play.decide(attempt, approved=True)

    [vote] = play.ledger.votes.list(attempt.execution_id)["Deploy", "run", 1]
    assert (vote.person, vote.when) == ("bob", play.clock[0])


def test_a_rollback_asks_anew(play: Play) -> None:
    """A rollback of a stage with an approval asks again, under a new token."""
    good = waiting(play)
    play.decide(good, approved=True)
    play.leave(good)
    bad = waiting(play)
    play.decide(bad, approved=True)
    play.leave(bad)
    back = play.claim(control.rollback(play.ledger, "shop", "Deploy", by="bob"))
    play.asking(back)

    assert play.stage(back).actions["run"][-1].status is Status.WAITING
    assert play.ledger.votes.list(back.execution_id) == {}
    play.decide(back, approved=True)
    assert play.stage(back).actions["run"][-1].status is Status.SUCCEEDED


def test_in_parallel_too(play: Play) -> None:
    """In mode parallel, where a stage has no state, an approval is named by its execution."""
    made = asking().model_copy(update={"mode": "parallel"})
    first, second = play.start(made), play.start(made)
    play.asking(first)
    play.asking(second)

    play.decide(first, approved=False)
    play.decide(second, approved=True)

    ends = [play.stage(each).actions["run"][-1].status for each in (first, second)]
    assert ends == [Status.FAILED, Status.SUCCEEDED]
