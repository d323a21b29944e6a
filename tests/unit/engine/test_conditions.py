"""Conditions of stages, after the table of CodePipeline's user guide, and at random."""

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import START, Outcomes, World, action, execution_of, pipeline, stage

from prefect_delivery.definition.models import Stage
from prefect_delivery.engine.conditions import (
    conditions_to_override,
    is_rule,
    wants_rollback,
)
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.resolve import artifacts_of, variables_of
from prefect_delivery.engine.state import ArtifactRef, Carried, StageRun, Status, Stop
from prefect_delivery.engine.steps import CancelAction, StartAction, Wait

HOLDS, FAILS, LATER = Status.SUCCEEDED, Status.FAILED, Status.WAITING
RULE = {"uses": "rule/variable-check"}


def rules(*names: str, **more: object) -> dict[str, object]:
    return {"rules": {name: {**RULE, **more} for name in names}}


def shop(outcomes: dict[str, list[Status]], **conditions: object) -> World:
    """One stage `ship` with one action `deploy`, and its conditions."""
    definition = pipeline(ship=stage(conditions=conditions, deploy=action()))
    told: Outcomes = {("ship", name): ends for name, ends in outcomes.items()}
    return World(execution_of(definition), {("ship", "deploy"): [HOLDS], **told})


def ran(world: World) -> list[str]:
    return [name for _, name, _ in world.started]


@pytest.mark.parametrize(
    ("result", "answer", "status", "deployed"),
    [
        ("fail", HOLDS, Status.SUCCEEDED, True),
        ("fail", FAILS, Status.FAILED, False),
        ("skip", HOLDS, Status.SUCCEEDED, True),
        ("skip", FAILS, Status.SKIPPED, False),
    ],
)
def test_before_entry(
    result: str, answer: Status, status: Status, deployed: bool
) -> None:
    world = shop(
        {"before_entry:r": [answer]}, before_entry={"result": result, **rules("r")}
    )

    ended = world.run()

    assert ended.stages["ship"].status is status
    assert ran(world) == ["before_entry:r", *(["deploy"] if deployed else [])]
    assert not wants_rollback(ended, "ship")


@pytest.mark.parametrize(
    ("result", "answer", "status", "back"),
    [
        ("fail", HOLDS, Status.SUCCEEDED, False),
        ("fail", FAILS, Status.FAILED, False),
        ("rollback", HOLDS, Status.SUCCEEDED, False),
        ("rollback", FAILS, Status.FAILED, True),
    ],
)
def test_on_success(result: str, answer: Status, status: Status, back: bool) -> None:
    world = shop(
        {"on_success:r": [answer]}, on_success={"result": result, **rules("r")}
    )

    ended = world.run()

    assert ended.stages["ship"].status is status
    assert ran(world) == ["deploy", "on_success:r"]
    assert wants_rollback(ended, "ship") is back


@pytest.mark.parametrize(("answer", "back"), [(HOLDS, True), (FAILS, False)])
def test_on_failure_the_result_is_engaged_when_the_rules_hold(
    answer: Status, back: bool
) -> None:
    world = shop(
        {"deploy": [FAILS], "on_failure:r": [answer]},
        on_failure={"result": "rollback", **rules("r")},
    )

    ended = world.run()

    assert ended.stages["ship"].status is Status.FAILED
    assert ended.stages["ship"].reason == "deploy: failed"
    assert ran(world) == ["deploy", "on_failure:r"]
    assert wants_rollback(ended, "ship") is back


def test_a_rollback_on_failure_without_rules_is_for_every_failure_after_entry() -> None:
    world = shop(
        {"on_success:r": [FAILS]},
        on_success=rules("r"),
        on_failure={"result": "rollback"},
    )

    assert wants_rollback(world.run(), "ship")


def test_a_stage_that_was_not_entered_is_not_rolled_back() -> None:
    world = shop(
        {"before_entry:r": [FAILS]},
        before_entry=rules("r"),
        on_failure={"result": "rollback"},
    )

    ended = world.run()

    assert ended.reason == "ship / before_entry: r: does not hold"
    assert not wants_rollback(ended, "ship")


def test_after_a_skipped_stage_the_next_one_goes_on() -> None:
    skipping = {"before_entry": {"result": "skip", **rules("r")}}
    definition = pipeline(
        ship=stage(conditions=skipping, deploy=action()),
        tell=stage("ship", people=action()),
    )
    outcomes: Outcomes = {
        ("ship", "before_entry:r"): [FAILS],
        ("tell", "people"): [HOLDS],
    }

    ended = World(execution_of(definition), outcomes).run()

    assert ended.status is Status.SUCCEEDED
    assert ended.stages["tell"].status is Status.SUCCEEDED


def test_a_rule_without_an_answer_is_asked_again_at_its_time() -> None:
    world = shop({"before_entry:r": [LATER, LATER, HOLDS]}, before_entry=rules("r"))

    ended = world.run()

    [run] = ended.stages["ship"].actions["before_entry:r"]
    assert (run.attempt, run.status) == (1, Status.SUCCEEDED)
    assert world.now == START + timedelta(minutes=2)


def test_a_rule_that_has_no_answer_in_time_fails() -> None:
    world = shop({"before_entry:r": [LATER] * 9}, before_entry=rules("r", timeout=4.5))

    ended = world.run()

    assert ended.stages["ship"].status is Status.FAILED
    assert world.now == START + timedelta(minutes=4.5)
    assert ended.reason == "ship / before_entry: r: timed out after 4.5 min"


def test_one_rule_that_fails_ends_the_others() -> None:
    world = shop({}, before_entry=rules("a", "b"))
    world.step()
    world.step()

    world.end(("ship", "before_entry:b", 1), LATER)
    world.end(("ship", "before_entry:a", 1), FAILS, "is not green")
    decided = decide(world.execution, world.now)
    ended = world.run()

    assert decided[0] == CancelAction(
        "ship",
        "before_entry:b",
        1,
        "another rule does not hold",
        True,
        status=Status.STOPPED,
    )
    assert ended.stages["ship"].reason == "before_entry: a: is not green"


@pytest.mark.parametrize(
    ("when", "answer", "status"),
    [
        ("before_entry", LATER, Status.SUCCEEDED),
        ("on_success", LATER, Status.SUCCEEDED),
        ("on_failure", LATER, Status.FAILED),
    ],
)
def test_overridden_while_it_is_asked(
    when: str, answer: Status, status: Status
) -> None:
    deploy = FAILS if when == "on_failure" else HOLDS
    condition = rules("r") | ({"result": "rollback"} if when == "on_failure" else {})
    world = shop({"deploy": [deploy], f"{when}:r": [answer]}, **{when: condition})
    while world.asked["ship", f"{when}:r"] == 0:
        if not world.step():
            world.end(world.running[0], deploy)
    world.end(("ship", f"{when}:r", 1), answer)
    assert list(conditions_to_override(*_ship(world))) == [when]

    override(world, when)
    ended = world.run()

    assert ended.stages["ship"].status is status
    [run] = ended.stages["ship"].actions[f"{when}:r"]
    assert (run.status, run.error) == (Status.STOPPED, "overridden by ann: hotfix")
    assert not wants_rollback(ended, "ship")


def test_a_failed_condition_that_is_overridden_passes_a_retry() -> None:
    world = shop({"before_entry:r": [FAILS]}, before_entry=rules("r"))
    world.run()

    override(world, "before_entry")
    reopened = dataclasses.replace(
        world.execution.stages["ship"],
        status=Status.IN_PROGRESS,
        baseline={"before_entry:r": 1},
    )
    world.put("ship", reopened)
    world.execution = dataclasses.replace(world.execution, status=Status.IN_PROGRESS)
    ended = world.run()

    assert ended.status is Status.SUCCEEDED
    assert ran(world) == ["before_entry:r", "deploy"]


@pytest.mark.parametrize("result", ["skip", "fail"])
def test_what_passed_or_was_skipped_cannot_be_overridden(result: str) -> None:
    answer = FAILS if result == "skip" else HOLDS
    world = shop(
        {"before_entry:r": [answer]}, before_entry={"result": result, **rules("r")}
    )
    world.run()

    assert list(conditions_to_override(*_ship(world))) == []


def test_a_retry_asks_the_rules_again() -> None:
    world = shop(
        {
            "before_entry:r": [HOLDS, HOLDS],
            "on_success:r": [HOLDS],
            "deploy": [FAILS, HOLDS],
        },
        before_entry=rules("r"),
        on_success=rules("r"),
        on_failure={"result": "retry"},
    )

    ended = world.run()

    assert ended.status is Status.SUCCEEDED
    asked = ["before_entry:r", "deploy", "before_entry:r", "deploy", "on_success:r"]
    assert ran(world) == asked


def test_a_rollback_is_asked_nothing() -> None:
    world = shop(
        {"deploy": [FAILS]},
        before_entry=rules("r"),
        on_success={"result": "rollback", **rules("r")},
        on_failure={"result": "rollback", **rules("r")},
    )
    carried = Carried(execution="e0")
    world.execution = dataclasses.replace(world.execution, carried=carried)

    ended = world.run()

    assert ran(world) == ["deploy"]
    assert not wants_rollback(ended, "ship")


def test_what_a_rule_left_is_no_variable_and_no_artifact() -> None:
    world = shop({"before_entry:r": [HOLDS]}, before_entry=rules("r"))
    ended = world.run()
    run = ended.stages["ship"]
    [asked] = run.actions["before_entry:r"]
    ref = ArtifactRef(digest="d", size=1)
    asked = dataclasses.replace(asked, variables={"x": "1"}, artifacts={"site": ref})

    world.put(
        "ship",
        dataclasses.replace(run, actions={**run.actions, "before_entry:r": (asked,)}),
    )

    assert "before_entry:r" not in variables_of(world.execution)
    assert artifacts_of(world.execution) == {}


def _ship(world: World) -> tuple[Stage, StageRun]:
    execution = world.execution
    return execution.definition.stages["ship"], execution.stages["ship"]


def override(world: World, when: str) -> None:
    run = world.execution.stages["ship"]
    overridden = dataclasses.replace(run, overridden={when: "ann: hotfix"})
    world.put("ship", overridden)


ENDINGS = st.lists(st.just(LATER), max_size=2).flatmap(
    lambda waits: st.sampled_from([[*waits, HOLDS], [*waits, FAILS]])
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Random pipelines with random conditions and random answers."""
    names = [f"s{index}" for index in range(draw(st.integers(1, 3)))]
    stages, outcomes = {}, {}
    results = {
        "before_entry": ["fail", "skip"],
        "on_success": ["fail", "rollback"],
        "on_failure": ["rollback"],
    }
    for index, name in enumerate(names):
        conditions: dict[str, object] = {}
        for when, allowed in results.items():
            if draw(st.booleans()):
                asked = [f"r{n}" for n in range(draw(st.integers(1, 3)))]
                result = draw(st.sampled_from(allowed))
                conditions[when] = {"result": result, **rules(*asked)}
                for rule in asked:
                    outcomes[name, f"{when}:{rule}"] = draw(ENDINGS)
        actions = {}
        for number in range(draw(st.integers(1, 3))):
            actions[f"a{number}"] = action(draw(st.integers(1, 2)))
            outcomes[name, f"a{number}"] = [draw(st.sampled_from([HOLDS, FAILS]))]
        stages[name] = stage(*names[:index][-1:], conditions=conditions, **actions)
    return World(execution_of(pipeline(**stages)), outcomes)


@given(worlds(), st.data())
@settings(max_examples=300, deadline=None)
def test_every_stage_ends_as_the_model_says(world: World, data: st.DataObject) -> None:
    ended = world.run(lambda count: data.draw(st.integers(0, count - 1)))

    expected = _model(world)
    found = {
        name: (run.status, wants_rollback(ended, name))
        for name, run in ended.stages.items()
    }
    assert found == expected


@given(worlds(), st.data())
@settings(max_examples=200, deadline=None)
def test_rules_are_asked_before_and_after_the_actions_and_never_beside(
    world: World, data: st.DataObject
) -> None:
    world.run(lambda count: data.draw(st.integers(0, count - 1)))

    place = {"before_entry": 0, "action": 1, "on_success": 2, "on_failure": 2}
    for name in world.execution.stages:
        kinds = [
            key[1].split(":")[0] if is_rule(key[1]) else "action"
            for key in world.started
            if key[0] == name
        ]
        order = [place[kind] for kind in kinds]
        assert order == sorted(order)
        good = all(
            world.outcomes[name, each] == [HOLDS]
            for each in world.execution.definition.stages[name].actions
        )
        assert good or "on_success" not in kinds


def _model(world: World) -> dict[str, tuple[Status, bool]]:
    ends: dict[str, tuple[Status, bool]] = {}
    for name, spec in world.execution.definition.stages.items():
        passed = {Status.SUCCEEDED, Status.SKIPPED}
        if all(need in ends and ends[need][0] in passed for need in spec.needs or []):
            ends[name] = _end_of(world, name)
    return ends


def _end_of(world: World, name: str) -> tuple[Status, bool]:
    spec = world.execution.definition.stages[name]

    def met(when: str) -> bool:
        return all(
            ends[-1] is HOLDS
            for (at, rule), ends in world.outcomes.items()
            if at == name and rule.startswith(f"{when}:")
        )

    if not met("before_entry"):
        skips = spec.before_entry is not None and spec.before_entry.result == "skip"
        return Status.SKIPPED if skips else Status.FAILED, False
    good = all(world.outcomes[name, each] == [HOLDS] for each in spec.actions)
    if good and met("on_success"):
        return Status.SUCCEEDED, False
    if good and spec.on_success and spec.on_success.result == "rollback":
        return Status.FAILED, True
    return Status.FAILED, spec.on_failure is not None and met("on_failure")


def test_while_a_rule_waits_there_is_nothing_to_do() -> None:
    world = shop({}, before_entry=rules("r"))
    world.step()
    assert decide(world.execution, START) == [StartAction("ship", "before_entry:r", 1)]
    world.step()

    world.end(("ship", "before_entry:r", 1), LATER)

    due = START + timedelta(minutes=1)
    assert decide(world.execution, START) == [
        Wait("ship: before_entry: r is asked again", due)
    ]


def test_a_stop_ends_a_rule_that_waits() -> None:
    world = shop({}, before_entry=rules("r"))
    world.step()
    world.step()
    world.end(("ship", "before_entry:r", 1), LATER)

    stop = Stop(by="ann", reason="wrong")
    world.execution = dataclasses.replace(world.execution, stop=stop)

    assert world.run().status is Status.STOPPED


def test_a_stage_does_not_end_while_a_rule_still_runs() -> None:
    world = shop({}, before_entry=rules("a", "b"))
    world.step()
    world.step()

    world.end(("ship", "before_entry:a", 1), FAILS, "is not green")

    asked = [type(step) for step in decide(world.execution, world.now)]
    assert asked == [CancelAction, Wait]
