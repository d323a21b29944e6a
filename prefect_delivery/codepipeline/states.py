"""A pipeline as a state machine of AWS Step Functions.

Source: Amazon States Language, and the Step Functions guide, "Invoke an AWS Lambda
function with Step Functions" and "Wait for a Callback with Task Token".
"""

from graphlib import TopologicalSorter
from itertools import groupby
from typing import Any, Final

from prefect_delivery.definition.models import Action, Pipeline, Stage
from prefect_delivery.definition.order import Order
from prefect_delivery.errors import Refused

State = dict[str, Any]
INVOKE: Final = "arn:aws:states:::lambda:invoke"
FAILED: Final = "Failed"
_LONGEST: Final = 80
"""Characters of the name of a state."""


def state_machine(pipeline: Pipeline, function: str) -> State:
    """The state machine that does what a pipeline does, stage by stage.

    The actions of a run order are branches of a `Parallel` state. Each invokes one
    function with what the definition says of it; an approval also with a task token,
    which whoever decides gives back.

    Args:
        pipeline: A normal definition.
        function: Name or ARN of the function.

    Raises:
        Refused: It says something that a state machine cannot do as we do, or a name
            is too long.
    """
    order = Order(pipeline)
    steps: dict[str, State] = {}
    for name in TopologicalSorter(order.needs).static_order():
        stage = pipeline.stages[name]
        _check(name, stage)
        for number, group in _groups(stage):
            branches = [
                _branch(pipeline, name, each, action, function)
                for each, action in group.items()
            ]
            steps[_named(f"{name} {number}")] = _parallel(branches)
    names = [*steps, None]
    for (step, state), then in zip(steps.items(), names[1:], strict=True):
        steps[step] = {**state, **({"Next": then} if then else {"End": True})}
    return {
        "Comment": pipeline.description or f"the pipeline {pipeline.pipeline}",
        "StartAt": names[0],
        "States": {**steps, FAILED: {"Type": "Fail", "Error": "ActionFailed"}},
    }


def _check(name: str, stage: Stage) -> None:
    for word in ("before_entry", "on_success", "on_failure"):
        if getattr(stage, word) is not None:
            raise Refused(
                f"stage '{name}' has '{word}', for which a state machine has no words",
                hint="export a definition without conditions",
            )


def _groups(stage: Stage) -> list[tuple[int, dict[str, Action]]]:
    """The actions of each run order, in order."""
    found = sorted(stage.actions.items(), key=lambda item: item[1].run_order)
    return [
        (number, dict(group))
        for number, group in groupby(found, key=lambda item: item[1].run_order)
    ]


def _parallel(branches: list[State]) -> State:
    return {
        "Type": "Parallel",
        "Branches": branches,
        "ResultPath": None,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": FAILED}],
    }


def _branch(
    pipeline: Pipeline, stage: str, name: str, action: Action, function: str
) -> State:
    payload: State = {
        "execution.$": "$$.Execution.Id",
        "pipeline": pipeline.pipeline,
        "stage": stage,
        "action": name,
        "uses": action.uses,
        "with": action.with_,
        "inputs": action.inputs,
        "outputs": sorted(action.outputs),
    }
    resource = INVOKE
    if action.uses.startswith("approval/"):
        resource = f"{INVOKE}.waitForTaskToken"
        payload["token.$"] = "$$.Task.Token"
    task: State = {
        "Type": "Task",
        "Resource": resource,
        "Parameters": {"FunctionName": function, "Payload": payload},
        "End": True,
    }
    if action.timeout is not None:
        task["TimeoutSeconds"] = max(1, round(action.timeout * 60))
    if action.retry is not None and action.retry.attempts > 1:
        task["Retry"] = [
            {
                "ErrorEquals": ["States.ALL"],
                "IntervalSeconds": max(1, round(action.retry.delay)),
                "MaxAttempts": action.retry.attempts - 1,
                "BackoffRate": action.retry.backoff,
            }
        ]
    state = _named(f"{stage} / {name}")
    return {"StartAt": state, "States": {state: task}}


def _named(name: str) -> str:
    if len(name) > _LONGEST:
        raise Refused(
            f"'{name}' is longer than the {_LONGEST} characters of a state's name",
            hint="give the stage or action a shorter name",
        )
    return name
