"""The engine against a small model: a simulated world carries out what it decides."""

import dataclasses
from datetime import timedelta
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import START, Outcomes, World, action, execution_of, pipeline, stage

from prefect_delivery.definition.models import Stage
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.plan import waves
from prefect_delivery.engine.state import StageRun, Status, Stop
from prefect_delivery.engine.steps import CancelAction, EndStage, Wait


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Random pipelines with random outcomes."""
    names = [f"s{index}" for index in range(draw(st.integers(1, 4)))]
    stages: dict[str, Stage] = {}
    outcomes: Outcomes = {}
    for index, name in enumerate(names):
        needs = (
            draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        )
        actions = {}
        for number in range(draw(st.integers(1, 4))):
            attempts = draw(st.integers(1, 3))
            actions[f"a{number}"] = action(
                draw(st.integers(1, 3)), retry={"attempts": attempts, "delay": 7}
            )
            outcomes[name, f"a{number}"] = draw(
                st.lists(
                    st.sampled_from([Status.SUCCEEDED, Status.FAILED]),
                    min_size=attempts,
                    max_size=attempts,
                )
            )
        stages[name] = stage(*needs, **actions)
    return World(execution_of(pipeline(**stages)), outcomes)


@given(worlds(), st.data())
@settings(max_examples=300, deadline=None)
def test_every_execution_ends_as_the_model_says(
    world: World, data: st.DataObject
) -> None:
    ended = world.run(lambda count: data.draw(st.integers(0, count - 1)))

    expected = _model(world)
    assert {name: run.status for name, run in ended.stages.items()} == expected
    passed = set(expected.values()) == {Status.SUCCEEDED}
    assert ended.status is (Status.SUCCEEDED if passed else Status.FAILED)


@given(worlds(), st.data())
@settings(max_examples=300, deadline=None)
def test_actions_start_in_order_and_no_more_often_than_they_may(
    world: World, data: st.DataObject
) -> None:
    world.run(lambda count: data.draw(st.integers(0, count - 1)))

    for position, (stage_name, action_name, attempt) in enumerate(world.started):
        spec = world.execution.definition.stages[stage_name]
        order = spec.actions[action_name].run_order
        before = [
            name for name, other in spec.actions.items() if other.run_order < order
        ]
        begun = {key[:2] for key in world.started[:position]}
        assert all((stage_name, name) in begun for name in before)
        assert all(_succeeds(world, stage_name, name) for name in before)
        retry = spec.actions[action_name].retry
        assert retry is not None and attempt <= retry.attempts


def _succeeds(world: World, stage_name: str, action_name: str) -> bool:
    return Status.SUCCEEDED in world.outcomes[stage_name, action_name]


def _model(world: World) -> dict[str, Status]:
    """Which stages are entered and how they end: each by its own actions alone."""
    ends: dict[str, Status] = {}
    for name, spec in world.execution.definition.stages.items():
        if all(ends.get(need) is Status.SUCCEEDED for need in spec.needs or []):
            good = all(
                _succeeds(world, name, action_name) for action_name in spec.actions
            )
            ends[name] = Status.SUCCEEDED if good else Status.FAILED
    return ends


def test_a_failed_action_lets_its_running_sibling_end_and_starts_nothing_more() -> None:
    definition = pipeline(build=stage(a=action(), b=action(), later=action(2)))
    world = World(execution_of(definition), {})
    world.step()
    world.step()

    world.end(("build", "a", 1), Status.FAILED, "exit code 1")

    assert [type(s) for s in decide(world.execution, START)] == [Wait]
    world.end(("build", "b", 1), Status.SUCCEEDED)
    assert decide(world.execution, START) == [
        EndStage("build", Status.FAILED, "a: exit code 1")
    ]


def test_a_branch_that_does_not_need_the_failed_stage_goes_on() -> None:
    definition = pipeline(
        source=stage(get=action()),
        docs=stage("source", build=action()),
        site=stage("source", build=action()),
        publish=stage("site", push=action()),
    )
    outcomes: Outcomes = {
        ("source", "get"): [Status.SUCCEEDED],
        ("docs", "build"): [Status.FAILED],
        ("site", "build"): [Status.SUCCEEDED],
        ("publish", "push"): [Status.SUCCEEDED],
    }

    ended = World(execution_of(definition), outcomes).run()

    assert ended.stages["publish"].status is Status.SUCCEEDED
    assert (ended.status, ended.reason) == (Status.FAILED, "docs / build: failed")


def test_a_retry_waits_longer_each_time() -> None:
    retry = {"attempts": 3, "delay": 10, "backoff": 3}
    definition = pipeline(build=stage(a=action(retry=retry)))
    world = World(
        execution_of(definition),
        {("build", "a"): [Status.FAILED, Status.FAILED, Status.SUCCEEDED]},
    )

    ended = world.run()

    begun = [run.started - START for run in ended.stages["build"].actions["a"]]
    assert begun == [timedelta(), timedelta(seconds=10), timedelta(seconds=40)]


def test_an_action_over_its_timeout_is_cancelled() -> None:
    definition = pipeline(build=stage(a=action(timeout=5)))
    world = World(execution_of(definition), {})
    world.step()
    world.step()

    early = decide(world.execution, START + timedelta(minutes=4))
    late = decide(world.execution, START + timedelta(minutes=5))

    assert early == [Wait("build: a runs", START + timedelta(minutes=5))]
    assert CancelAction("build", "a", 1, "timed out after 5 min", True) in late


def test_an_attempt_that_cannot_be_retried_fails_the_stage_at_once() -> None:
    definition = pipeline(build=stage(a=action(retry={"attempts": 5})))
    world = World(execution_of(definition), {})
    world.step()
    world.step()

    run = world.execution.stages["build"].actions["a"][0]
    rejected = dataclasses.replace(
        run, status=Status.FAILED, ended=START, error="rejected", retryable=False
    )
    world.put("build", StageRun(status=Status.IN_PROGRESS, actions={"a": (rejected,)}))

    assert decide(world.execution, START) == [
        EndStage("build", Status.FAILED, "a: rejected")
    ]


def test_a_retried_stage_runs_its_failed_action_again_with_all_its_attempts() -> None:
    definition = pipeline(build=stage(a=action(), b=action()))
    outcomes: Outcomes = {
        ("build", "a"): [Status.FAILED, Status.SUCCEEDED],
        ("build", "b"): [Status.SUCCEEDED],
    }
    world = World(execution_of(definition), outcomes)
    world.run()

    reopened = dataclasses.replace(
        world.execution.stages["build"], status=Status.IN_PROGRESS, baseline={"a": 1}
    )
    world.put("build", reopened)
    world.execution = dataclasses.replace(world.execution, status=Status.IN_PROGRESS)
    ended = world.run()

    assert ended.status is Status.SUCCEEDED
    assert world.started[-1] == ("build", "a", 2)


@pytest.mark.parametrize("abandon", [False, True])
def test_a_stopped_execution_starts_nothing_and_ends(abandon: bool) -> None:
    definition = pipeline(build=stage(a=action()), ship=stage("build", b=action()))
    world = World(execution_of(definition), {("build", "a"): [Status.SUCCEEDED]})
    world.step()
    world.step()

    stop = Stop(by="ann", reason="wrong branch", abandon=abandon)
    world.execution = dataclasses.replace(world.execution, stop=stop)
    asked = decide(world.execution, START)
    ended = world.run()

    assert any(isinstance(step, CancelAction) for step in asked) is abandon
    assert ended.status is Status.STOPPED
    assert ended.reason == "stopped by ann: wrong branch"
    assert "ship" not in ended.stages


def test_an_execution_limited_to_a_stage_runs_that_stage_alone() -> None:
    definition = pipeline(build=stage(a=action()), ship=stage("build", b=action()))
    limited = dataclasses.replace(execution_of(definition), only=("ship",))
    world = World(limited, {("ship", "b"): [Status.SUCCEEDED]})

    ended = world.run()

    assert list(ended.stages) == ["ship"]
    assert ended.status is Status.SUCCEEDED


@given(worlds())
def test_waves_respect_needs_and_name_every_stage_once(world: World) -> None:
    definition = world.execution.definition

    found = [[name for name, _ in wave] for wave in waves(definition)]

    assert sorted(chain(*found)) == sorted(definition.stages)
    for index, wave in enumerate(found):
        before = set(chain(*found[:index]))
        assert all(set(definition.stages[n].needs or []) <= before for n in wave)
