"""How CodePipeline retries stages, rule by rule; see test_codepipeline_modes.py."""

from typing import Any

import pytest
from play import BUILD, Play, shop
from world import World, action, execution_of, pipeline, stage

from prefect_delivery.definition.models import OnFailure, Pipeline
from prefect_delivery.definition.structure import check_structure
from prefect_delivery.engine.state import ArtifactRef, Status
from prefect_delivery.engine.steps import StartAction
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt

GOOD, BAD = Status.SUCCEEDED, Status.FAILED


def side_by_side(**more: Any) -> Pipeline:
    actions = {"unit": BUILD, "lint": BUILD}
    return shop(stages={"Deploy": {"needs": [], "actions": actions, **more}})


def failed(play: Play, **left: Any) -> Attempt:
    """An execution in which `unit` succeeded and `lint` failed."""
    attempt = play.start(side_by_side())
    play.enter(attempt)
    play.act(attempt, action="unit", **left)
    play.act(attempt, BAD, action="lint")
    play.leave(attempt, BAD)
    return attempt


def again(play: Play, attempt: Attempt, *, all_actions: bool = False) -> list[Any]:
    play.reopen(attempt, all_actions=all_actions)
    play.enter(attempt)
    return play.steps(attempt)


def test_it_is_the_same_execution(play: Play) -> None:
    """A retry keeps the execution and its id."""
    attempt = failed(play)
    play.reopen(attempt)

    assert [e.id for e in play.ledger.executions.list()] == [attempt.execution_id]
    assert play.status(attempt) is Status.IN_PROGRESS


def test_failed_actions(play: Play) -> None:
    """To retry the failed actions runs them again, and keeps those that succeeded."""
    assert again(play, failed(play)) == [StartAction("Deploy", "lint", 2)]


def test_while_siblings_run(play: Play) -> None:
    """Failed actions may be retried while others of the stage still run.

    A stage is retried when it has ended: what runs may yet fail too, and one retry then
    runs all that failed. An action that may fail for a moment has a `retry` of its own,
    which does not wait for others.
    """
    attempt = play.start(side_by_side())
    play.enter(attempt)
    play.act(attempt, Status.IN_PROGRESS, action="unit")
    play.act(attempt, BAD, action="lint")

    with pytest.raises(Refused, match="did not fail: in-progress"):
        play.reopen(attempt)


def test_all_actions(play: Play) -> None:
    """To retry all actions begins with the first one, and is refused while any runs."""
    assert again(play, failed(play), all_actions=True) == [
        StartAction("Deploy", "unit", 2),
        StartAction("Deploy", "lint", 2),
    ]
    running = play.start(side_by_side())
    play.enter(running)
    play.act(running, Status.IN_PROGRESS, action="unit")
    with pytest.raises(Refused):
        play.reopen(running, all_actions=True)


def test_something_must_have_failed(play: Play) -> None:
    """A retry needs a failed action."""
    attempt = play.start(side_by_side())
    play.enter(attempt)
    play.leave(attempt, GOOD)

    with pytest.raises(Refused, match="did not fail: succeeded"):
        play.reopen(attempt)


def test_a_skipped_stage(play: Play) -> None:
    """A skipped stage cannot be retried."""
    attempt = play.start(side_by_side())
    play.enter(attempt)
    play.leave(attempt, Status.SKIPPED, end=False)

    with pytest.raises(Refused, match="did not fail: skipped"):
        play.reopen(attempt)


def test_only_the_latest(play: Play) -> None:
    """A stage that has run a later execution since is not retried."""
    attempt = failed(play)
    later = play.start(side_by_side())
    play.enter(later)
    play.leave(later, BAD)

    with pytest.raises(Refused, match="#2 has entered Deploy since"):
        play.reopen(attempt)


def test_after_an_update(play: Play) -> None:
    """After an update of the pipeline's structure, a retry is refused.

    It is allowed: an execution runs on its own snapshot of the definition, so a retry
    runs what was to run, whatever the definition says by now.
    """
    attempt = failed(play)
    edited = shop(stages={"Other": {"needs": [], "actions": {"run": BUILD}}})
    play.start(edited)

    assert again(play, attempt) == [StartAction("Deploy", "lint", 2)]


def test_history_stays(play: Play) -> None:
    """New attempts replace output artifacts; the history of earlier attempts stays."""
    old, new = (ArtifactRef(digest=digest, size=1) for digest in "ab")
    attempt = failed(play, artifacts={"site": old})
    again(play, attempt, all_actions=True)
    play.act(attempt, action="unit", artifacts={"site": new})

    runs = play.stage(attempt).actions["unit"]
    assert [run.artifacts["site"] for run in runs] == [old, new]


def by_itself(mode: dict[str, object], *ends: Status) -> World:
    wish = {"on_failure": {"result": "retry", **mode}}
    definition = pipeline(
        ship=stage(conditions=wish, first=action(), second=action(2)),
    )
    outcomes = {("ship", "first"): [GOOD, GOOD], ("ship", "second"): [*ends]}
    return World(execution_of(definition), outcomes)


def test_once_by_itself() -> None:
    """A stage that says so, also the first, is retried by itself, exactly once."""
    twice, enough = by_itself({}, BAD, BAD), by_itself({}, BAD, GOOD)

    assert twice.run().status is BAD
    assert enough.run().status is GOOD
    for world in (twice, enough):
        assert [n for _, name, n in world.started if name == "second"] == [1, 2]


def test_what_it_runs_by_itself() -> None:
    """An automatic retry runs the failed actions, unless it says all actions."""
    some, every = (
        by_itself({}, BAD, GOOD),
        by_itself({"retry_mode": "all_actions"}, BAD, GOOD),
    )
    some.run()
    every.run()

    assert [name for _, name, _ in some.started] == ["first", "second", "second"]
    assert [name for _, name, _ in every.started] == [*["first", "second"] * 2]
    assert OnFailure(result="retry").retry_mode == "failed_actions"


def test_a_retry_takes_no_rules() -> None:
    """An automatic retry cannot be combined with conditions."""
    rules = {"r": {"uses": "rule/variable-check"}}
    made = side_by_side(on_failure={"result": "retry", "rules": rules})

    assert "a retry takes no rules: it is tried once, whatever the reason" in [
        finding.message for finding in check_structure(made)
    ]


def test_who_retried(play: Play) -> None:
    """The state of a stage tells manual retries from automatic ones."""
    attempt = failed(play)
    again(play, attempt)
    play.ledger.executions.retry_stage(attempt, "Deploy", all_actions=False)

    told = [(e.verb, e.actor) for e in play.ledger.audit.entries() if "re" in e.verb]
    assert ("retry stage", "worker") in told
    assert ("reopen", "bob") in told
