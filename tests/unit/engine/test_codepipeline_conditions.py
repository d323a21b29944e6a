"""CodePipeline's stage conditions, rule by rule; see test_codepipeline_modes.py."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from world import Outcomes, World, action, execution_of, pipeline, stage

from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.models import Condition
from prefect_delivery.definition.structure import check_structure
from prefect_delivery.engine.conditions import (
    conditions_to_override,
    standing,
    wants_rollback,
)
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import ActionFailed
from prefect_delivery.rollbacks import rollback_target
from prefect_delivery.tasks.alarms.source import Reading
from prefect_delivery.tasks.rules.alarm import GOOD, judged
from prefect_delivery.tasks.rules.deployment_window import look
from prefect_delivery.tasks.rules.variable_check import Operator, check_variable
from prefect_delivery.tasks.rules.windows import Window

HOLDS, FAILS, LATER = Status.SUCCEEDED, Status.FAILED, Status.WAITING
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def shop(
    when: str,
    result: str,
    *answers: Status,
    action_ends: Status = HOLDS,
    timeout: float | None = None,
) -> World:
    """A stage `ship` with one condition, whose rules answer so, and a stage after it."""
    rules = {
        f"r{number}": {"uses": "rule/variable-check", "timeout": timeout}
        for number, _ in enumerate(answers)
    }
    conditions = {when: {"result": result, "rules": rules}}
    definition = pipeline(
        ship=stage(conditions=conditions, deploy=action()),
        after=stage("ship", last=action()),
    )
    outcomes: Outcomes = {
        ("ship", f"{when}:r{number}"): [answer] * 3
        for number, answer in enumerate(answers)
    }
    outcomes |= {("ship", "deploy"): [action_ends], ("after", "last"): [HOLDS]}
    return World(execution_of(definition), outcomes)


def acted(world: World) -> bool:
    return ("ship", "deploy", 1) in world.started


def until_asked(world: World, rule: str) -> World:
    """Go on until a rule is asked."""
    while ("ship", rule, 1) not in world.running:
        if not world.step():
            key = world.running[0]
            world.end(key, world.outcomes[key[:2]][0])
    return world


def overridden(world: World, when: str) -> World:
    run = world.execution.stages["ship"]
    world.put("ship", dataclasses.replace(run, overridden={when: "ann: now"}))
    return world


@pytest.mark.parametrize("answer", [HOLDS, FAILS])
def test_before_entry_fail(answer: Status) -> None:
    """The rules of beforeEntry must all succeed before the stage starts; with the result FAIL the stage fails."""
    world = shop("before_entry", "fail", HOLDS, answer)
    ended = world.run()

    assert ended.stages["ship"].status is answer
    assert acted(world) is (answer is HOLDS)


def test_before_entry_skip() -> None:
    """With the result SKIP the stage is skipped: its actions do not run, and the execution goes on with the next stage."""
    world = shop("before_entry", "skip", FAILS)
    ended = world.run()

    assert ended.stages["ship"].status is Status.SKIPPED
    assert ended.stages["after"].status is HOLDS
    assert not acted(world)


def test_nothing_on_a_skipped_stage() -> None:
    """On a skipped stage there is no override and no rollback."""
    ended = shop("before_entry", "skip", FAILS).run()
    run, spec = ended.stages["ship"], ended.definition.stages["ship"]

    assert [*conditions_to_override(spec, run)] == []
    assert not wants_rollback(ended, "ship")


def test_rules_of_skip() -> None:
    """The result SKIP takes the rules LambdaInvoke and VariableCheck only.

    It takes any rule: what a rule looks at has nothing to do with what is done then.
    """
    rules = {"r": {"uses": "rule/deployment-window"}}
    spec = stage(
        conditions={"before_entry": {"result": "skip", "rules": rules}}, deploy=action()
    )

    found = [
        f for f in check_structure(pipeline(ship=spec)) if "before_entry" in f.path
    ]
    assert found == []


@pytest.mark.parametrize("result", ["fail", "rollback"])
@pytest.mark.parametrize("answer", [HOLDS, FAILS])
def test_on_success(result: str, answer: Status) -> None:
    """The rules of onSuccess must all succeed for the stage to count as succeeded; its results are FAIL and ROLLBACK."""
    ended = shop("on_success", result, answer).run()

    assert ended.stages["ship"].status is answer
    back = result == "rollback" and answer is FAILS
    assert wants_rollback(ended, "ship") is back


@pytest.mark.parametrize("answer", [HOLDS, FAILS])
def test_on_failure_is_inverted(answer: Status) -> None:
    """The result of onFailure is engaged when its rules do all succeed."""
    ended = shop("on_failure", "rollback", HOLDS, answer, action_ends=FAILS).run()

    assert ended.stages["ship"].status is FAILS
    assert wants_rollback(ended, "ship") is (answer is HOLDS)


@pytest.mark.parametrize("count", [0, 6])
def test_one_to_five_rules(count: int) -> None:
    """A condition has 1 to 5 rules, and a stage one condition of each type."""
    rules = {f"r{n}": {"uses": "rule/variable-check"} for n in range(count)}

    with pytest.raises(ValidationError):
        Condition.model_validate({"rules": rules})


@pytest.mark.parametrize("failing", range(3))
def test_all_rules_must_hold(failing: int) -> None:
    """The rules of a condition are evaluated together; any that fails fails the condition."""
    answers = [FAILS if number == failing else HOLDS for number in range(3)]
    world = shop("before_entry", "fail", *answers)
    asked = until_asked(world, "before_entry:r0")

    assert len(asked.running) == 3
    assert world.run().stages["ship"].status is FAILS


@pytest.mark.parametrize(
    ("when", "result"), [("before_entry", "rollback"), ("on_success", "skip")]
)
def test_which_results(when: str, result: str) -> None:
    """beforeEntry takes FAIL and SKIP, onSuccess FAIL and ROLLBACK."""
    definition = shop(when, result, HOLDS).execution.definition

    assert any("the result of" in f.message for f in check_structure(definition))


def test_override_of_the_entry() -> None:
    """An override of beforeEntry with FAIL lets the stage go on, and abandons its rules."""
    world = until_asked(shop("before_entry", "fail", LATER), "before_entry:r0")
    overridden(world, "before_entry")
    ended = world.run()

    assert ended.stages["ship"].status is HOLDS
    [rule] = ended.stages["ship"].actions["before_entry:r0"]
    assert (rule.status, rule.error) == (Status.STOPPED, "overridden by ann: now")


@pytest.mark.parametrize("result", ["fail", "rollback"])
def test_override_after_success(result: str) -> None:
    """An override of onSuccess lets the stage succeed."""
    world = until_asked(shop("on_success", result, LATER), "on_success:r0")
    ended = overridden(world, "on_success").run()

    assert ended.stages["ship"].status is HOLDS
    assert not wants_rollback(ended, "ship")


def test_override_after_failure() -> None:
    """An override of onFailure with ROLLBACK leaves the stage failed, without a rollback."""
    world = shop("on_failure", "rollback", LATER, action_ends=FAILS)
    ended = overridden(until_asked(world, "on_failure:r0"), "on_failure").run()

    assert ended.stages["ship"].status is FAILS
    assert not wants_rollback(ended, "ship")


def test_override_of_skip() -> None:
    """A condition with the result SKIP cannot be overridden.

    It can while it is asked, for example while a window is awaited; once the stage is
    skipped it cannot, since later stages have gone on from there.
    """
    world = until_asked(shop("before_entry", "skip", LATER), "before_entry:r0")
    spec = world.execution.definition.stages["ship"]

    asked = [*conditions_to_override(spec, world.execution.stages["ship"])]
    ended = shop("before_entry", "skip", FAILS).run()

    assert asked == ["before_entry"]
    assert [*conditions_to_override(spec, ended.stages["ship"])] == []


def test_rollback_needs_a_success() -> None:
    """The result ROLLBACK needs an earlier success, under the current version of the structure.

    The success may be under another version: see the rules of rollbacks.
    """
    failed = shop("on_success", "rollback", FAILS).run()
    earlier: list[Execution] = []

    assert wants_rollback(failed, "ship")
    assert rollback_target(earlier, "ship", None, last=True) is None


def test_the_state_shows_rules() -> None:
    """The state of a stage shows every condition and each of its rules."""
    ended = shop("before_entry", "fail", HOLDS, FAILS).run()
    run, spec = ended.stages["ship"], ended.definition.stages["ship"]

    assert standing(spec, run, "before_entry").value == "not met"
    assert {name: runs[-1].status for name, runs in run.actions.items()} == {
        "before_entry:r0": HOLDS,
        "before_entry:r1": FAILS,
    }


@pytest.mark.parametrize(
    ("when", "state", "ends"),
    [
        ("before_entry", "OK", "holds"),
        ("before_entry", "ALARM", "fails"),
        ("before_entry", "INSUFFICIENT_DATA", "fails"),
        ("on_success", "OK", "holds"),
        ("on_success", "INSUFFICIENT_DATA", "holds"),
        ("on_success", "ALARM", "fails"),
        ("on_failure", "ALARM", "holds"),
        ("on_failure", "OK", "fails"),
    ],
)
def test_cloudwatch_alarm(when: str, state: str, ends: str) -> None:
    """CloudWatchAlarm is watched up to WaitTime; on entry OK passes at once, after success OK and INSUFFICIENT_DATA pass, after failure ALARM meets."""
    reading = Reading(state=state, said="5xx")  # type: ignore[arg-type]

    def ask(at: datetime) -> str:
        try:
            found = judged(
                reading,
                when,
                GOOD[when],
                now=at,
                ends=NOW + timedelta(minutes=5),
                interval=timedelta(minutes=1),
            )
        except ActionFailed:
            return "fails"
        return "again" if found.again else "holds"

    at_once = ("before_entry", "OK"), ("on_failure", "ALARM"), ("on_success", "ALARM")
    assert ask(NOW) == (ends if (when, state) in at_once else "again")
    assert ask(NOW + timedelta(minutes=5)) == ends


def test_deployment_window() -> None:
    """DeploymentWindow succeeds when now is within the cron; otherwise it stays in progress until the window opens, and can be overridden."""
    inside = look([Window(cron="* * 9 ? * MON-FRI *")], [], "UTC", NOW)
    before = look([Window(cron="* * 11 ? * MON-FRI *")], [], "UTC", NOW)

    assert inside.again is None
    assert before.again == NOW + timedelta(hours=2)


def test_a_rule_times_out() -> None:
    """A rule that has no answer fails when its time is over."""
    world = shop("before_entry", "fail", LATER, timeout=2)
    ended = world.run()

    assert ended.stages["ship"].status is FAILS
    assert ended.stages["ship"].reason == "before_entry: r0: timed out after 2 min"


@pytest.mark.parametrize(
    ("variable", "operator", "value", "holds"),
    [
        ("main", "EQ", "main", True),
        ("main", "EQ", "Main", False),
        ("main", "NE", "next", True),
        ("release/1", "CONTAINS", "lease", True),
        ("release/1", "MATCHES", r"release/\d+", True),
        ("release/1x", "MATCHES", r"release/\d+", False),
    ],
)
def test_variable_check(
    variable: str, operator: Operator, value: str, holds: bool
) -> None:
    """VariableCheck compares the text of a variable by EQ, NE, CONTAINS or MATCHES."""
    assert _holds(variable, operator, value) is holds


@pytest.mark.parametrize(
    ("variable", "operator", "value", "holds"),
    [
        ("10", "GT", "9", True),
        ("9.5", "GE", "9.50", True),
        ("10", "LT", "9", False),
        ("9", "LE", "9", True),
    ],
)
def test_numbers(variable: str, operator: Operator, value: str, holds: bool) -> None:
    """There is no operator that compares numbers.

    There are GT, GE, LT and LE: coverage, sizes and error rates are what one most wants
    to compare, and text cannot be compared so.
    """
    assert _holds(variable, operator, value) is holds


def _holds(variable: str, operator: Operator, value: str) -> bool:
    try:
        check_variable.fn(variable=variable, operator=operator, value=value)
    except ActionFailed:
        return False
    return True


@pytest.mark.parametrize("name", ["alarm", "codebuild", "commands", "lambda-invoke"])
def test_rules_that_call_others(name: str) -> None:
    """There are the rules CloudWatchAlarm, CodeBuild, Commands and LambdaInvoke."""
    assert f"rule/{name}" in Catalogue.load().action_names()
