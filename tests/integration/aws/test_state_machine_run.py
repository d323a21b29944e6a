"""An exported pipeline is run by moto's interpreter of Amazon States Language.

The function that it invokes is a double, which notes what it is asked for.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws import Handler, served
from polling import until

from prefect_delivery.codepipeline.states import state_machine
from prefect_delivery.definition.loader import load

SHOP = """\
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Build:
    actions:
      package: {uses: build/commands, inputs: app, with: {commands: [make]}}
      unit: {uses: test/commands, inputs: app, with: {commands: [make test]}}
      check: {uses: test/commands, inputs: app, run_order: 2, with: {commands: [ls]}}
"""
ROLE = "arn:aws:iam::123456789012:role/machine"


class Function:
    """Answers each action at once.

    Attributes:
        asked: What it was asked for.
        fails: Actions that fail.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fails: set[str] = set()

    @property
    def actions(self) -> list[str]:
        return [each["action"] for each in self.asked]


@pytest.fixture
def function(cloud: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    made = Function()

    class Lambda(Handler):
        def do_POST(self) -> None:
            asked = json.loads(self.body())
            made.asked.append(asked)
            failed = asked["action"] in made.fails
            said = b'{"errorType": "Broken", "errorMessage": "no"}'
            headers = {"X-Amz-Function-Error": "Unhandled"} if failed else {}
            self.answer(200, said if failed else b"{}", headers)

    with served(Lambda) as address:
        # Where moto's interpreter looks for functions.
        monkeypatch.setenv("MOTO_PORT", address.rpartition(":")[2])
        yield made


def run(client: Callable[[str], Any]) -> str:
    """How an execution ends."""
    states = client("stepfunctions")
    made = states.create_state_machine(
        name="shop",
        definition=json.dumps(state_machine(load(SHOP), "worker")),
        roleArn=ROLE,
    )
    started = states.start_execution(stateMachineArn=made["stateMachineArn"])
    arn = started["executionArn"]

    def status() -> str:
        return str(states.describe_execution(executionArn=arn)["status"])

    until(lambda: status() != "RUNNING")
    return status()


def test_actions_are_invoked_in_their_order(
    function: Function, client: Callable[[str], Any]
) -> None:
    assert run(client) == "SUCCEEDED"

    first, *parallel, last = function.actions
    assert (first, set(parallel), last) == ("app", {"package", "unit"}, "check")
    assert function.asked[0]["uses"] == "source/git"
    assert function.asked[0]["with"] == {"url": ".", "branch": "main"}


def test_nothing_follows_an_action_that_failed(
    function: Function, client: Callable[[str], Any]
) -> None:
    function.fails = {"package"}

    assert run(client) == "FAILED"

    assert "check" not in function.actions
    assert "package" in function.actions
