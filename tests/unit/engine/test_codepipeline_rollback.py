"""How CodePipeline rolls stages back, rule by rule; see test_codepipeline_modes.py."""

from typing import Any

import pytest
from play import BUILD, STAGES, Play, shop

from prefect_delivery import control
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.gate import Enter, Hold
from prefect_delivery.engine.state import ArtifactRef, Status
from prefect_delivery.engine.steps import End, EnterStage
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt
from prefect_delivery.rollbacks import automatic_rollbacks

GOOD, BAD = Status.SUCCEEDED, Status.FAILED
BACK = {"result": "rollback"}


def going_back() -> Pipeline:
    """A pipeline whose stage goes back when it fails."""
    deploy = {**STAGES["Deploy"], "on_failure": BACK}
    return shop(stages={**STAGES, "Deploy": deploy})


def ran(play: Play, status: Status = GOOD, made: Pipeline | None = None) -> Attempt:
    """An execution that ran through both stages, and ended so."""
    number = len(play.ledger.executions.list()) + 1
    attempt = play.start(
        made or shop(),
        variables={"n": str(number)},
        revisions={"app": f"c{number}"},
    )
    site = {"site": ArtifactRef(digest=str(number), size=1)}
    play.enter(attempt, "Build")
    play.act(attempt, stage="Build", artifacts=site)
    play.leave(attempt, stage="Build", end=False)
    play.through(attempt, status)
    return attempt


def back(play: Play, stage: str = "Deploy", **more: Any) -> Attempt:
    made = control.rollback(play.ledger, "shop", stage, by="bob", **more)
    return play.claim(made)


def test_a_rollback_is_an_execution(play: Play) -> None:
    """A rollback is a new execution that runs one stage with the revisions, variables and artifacts of an earlier one."""
    first, _ = ran(play), ran(play)
    rollback = play.get(back(play))

    assert (rollback.number, rollback.trigger) == (3, "rollback")
    assert rollback.only == ("Deploy",)
    assert rollback.revisions == {"app": "c1"}
    assert rollback.variables == {"n": "1"}
    assert rollback.carried
    assert rollback.carried.execution == first.execution_id
    assert rollback.carried.artifacts["site"].digest == "1"


def test_candidates(play: Play) -> None:
    """It may go back to any execution that succeeded in the stage."""
    ran(play), ran(play, BAD), ran(play)

    assert play.get(back(play, to=1)).revisions == {"app": "c1"}
    with pytest.raises(Refused, match="did not succeed in #2"):
        back(play, to=2)


def test_automatic(play: Play) -> None:
    """A stage that fails may go back by itself, to the last execution that succeeded in it."""
    ran(play, made=going_back()), ran(play, made=going_back())
    failed = ran(play, BAD, going_back())

    [rollback] = automatic_rollbacks(play.ledger, play.get(failed))

    assert rollback.revisions == {"app": "c2"}
    assert (rollback.started_by, rollback.only) == ("shop #3 failed", ("Deploy",))
    assert rollback.trigger == "automatic-rollback"


def test_what_was_refused(play: Play) -> None:
    """A stage that says so goes back after any failure.

    It does not where all it did was to be turned away by its environment, which is
    locked, cools down or keeps the release in quarantine: nothing has changed, and each
    push would start another rollback.
    """
    into = {"uses": "deploy/environment", "with": {"environment": "production"}}
    deploy = {**STAGES["Deploy"], "actions": {"run": into}}
    made = shop(stages={**STAGES, "Deploy": {**deploy, "on_failure": BACK}})
    ran(play, made=made)
    failed = ran(play, BAD, made)

    assert automatic_rollbacks(play.ledger, play.get(failed)) == []


def test_nothing_to_go_back_to(play: Play) -> None:
    """Where no execution has succeeded in the stage, nothing is rolled back."""
    failed = ran(play, BAD, going_back())

    assert automatic_rollbacks(play.ledger, play.get(failed)) == []


def test_the_source_stage(play: Play) -> None:
    """The source stage cannot be rolled back.

    Any stage that has succeeded can, the first one as well: it runs again on the
    revisions that it had, which changes nothing anywhere.
    """
    ran(play), ran(play)

    assert play.get(back(play, "Build")).revisions == {"app": "c1"}


def test_after_an_update_of_the_structure(play: Play) -> None:
    """An execution from before the last update of the pipeline cannot be gone back to.

    It can: it brings its own definition along. What worked before an edit is what one
    wants back when the edit was the mistake.
    """
    ran(play)
    actions = {"run": BUILD, "more": BUILD}
    edited = shop(stages={**STAGES, "Deploy": {"needs": ["Build"], "actions": actions}})
    ran(play, made=edited)

    assert play.get(back(play)).definition == shop()


def test_not_to_a_rollback(play: Play) -> None:
    """A rollback cannot be gone back to."""
    ran(play), ran(play)
    rollback = back(play)
    play.through(rollback)

    with pytest.raises(Refused, match="did not succeed in #3"):
        back(play, to=3)


def test_while_the_stage_runs(play: Play) -> None:
    """A rollback is refused while the stage runs.

    It waits until the stage is free, and then goes before all that waits there: nobody
    has to try again and again.
    """
    ran(play), ran(play)
    inside, waiting = play.start(shop()), play.start(shop())
    play.enter(inside)
    play.enter(waiting)
    rollback = back(play)

    assert play.enter(rollback) == Hold(reason="#3 is in it")
    play.leave(inside, BAD)
    assert play.enter(rollback) == Enter()
    assert isinstance(play.enter(waiting), Hold)


def test_skipped_is_no_target(play: Play) -> None:
    """An execution that skipped the stage cannot be gone back to."""
    ran(play)
    skipped = play.start(shop())
    play.enter(skipped)
    play.leave(skipped, Status.SKIPPED)
    ran(play)

    with pytest.raises(Refused, match="did not succeed in #2"):
        back(play, to=2)


def test_in_parallel(play: Play) -> None:
    """In mode parallel there is no stage rollback.

    None starts by itself, since it is not known which success is the last; but a person
    may name one.
    """
    ran(play, made=shop("parallel")), ran(play, made=shop("parallel"))

    assert play.get(back(play, to=1)).revisions == {"app": "c1"}


def test_it_goes_no_further(play: Play) -> None:
    """After a rollback the pipeline does not go on to later stages."""
    ran(play), ran(play)
    rollback = back(play, "Build")

    assert play.steps(rollback) == [EnterStage("Build")]
    play.enter(rollback, "Build")
    play.act(rollback, stage="Build")
    play.leave(rollback, stage="Build", end=False)
    assert play.steps(rollback) == [End(GOOD)]
