"""What an action is given when it starts: its configuration and its artifacts."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from prefect_delivery.definition.models import Action
from prefect_delivery.definition.variables import resolve
from prefect_delivery.engine.conditions import is_rule, spec_of
from prefect_delivery.engine.state import ArtifactRef, Execution, Status
from prefect_delivery.errors import ActionFailed

MOST_CONFIGURATION: Final = 102_400
"""Bytes of an action's configuration after its variables (CodePipeline's quota)."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One action, ready to be carried out.

    Attributes:
        inputs: By parameter: one artifact, or several by name, in order.
    """

    uses: str
    configuration: dict[str, Any]
    inputs: dict[str, ArtifactRef | dict[str, ArtifactRef]] = field(
        default_factory=dict
    )
    outputs: dict[str, list[str]] = field(default_factory=dict)


def call_of(execution: Execution, stage: str, action: str) -> Call:
    """Resolve variables and inputs of an action or rule from what has succeeded.

    Raises:
        ActionFailed: A variable or an artifact is not there, or the configuration is
            larger than `MOST_CONFIGURATION`.
    """
    spec = spec_of(execution.definition.stages[stage], action)
    variables = variables_of(execution)
    artifacts = artifacts_of(execution)

    def variable(namespace: str, name: str) -> str:
        try:
            return variables[namespace][name]
        except KeyError:
            raise ActionFailed(
                f"no variable '#{{{namespace}.{name}}}' was set before this action"
            ) from None

    def artifact(name: str) -> ArtifactRef:
        if name not in artifacts:
            raise ActionFailed(f"no action has left the artifact '{name}'")
        return artifacts[name]

    named = spec.inputs if isinstance(spec.inputs, dict) else {}
    configuration = resolve(spec.with_, variable)
    size = len(json.dumps(configuration, default=str, ensure_ascii=False).encode())
    if size > MOST_CONFIGURATION:
        raise ActionFailed(
            f"the configuration takes {size:,} bytes with its variables;"
            f" {MOST_CONFIGURATION:,} are the most",
            hint="hand large data on as an artifact",
        )
    return Call(
        uses=spec.uses,
        configuration=configuration,
        inputs={
            parameter: artifact(names)
            if isinstance(names, str)
            else {name: artifact(name) for name in names}
            for parameter, names in named.items()
        },
        outputs=spec.outputs if isinstance(spec, Action) else {},
    )


def variables_of(execution: Execution) -> dict[str, dict[str, str]]:
    """All variables that an action may refer to now, by namespace and name."""
    found: dict[str, dict[str, str]] = {
        "variables": execution.variables,
        "execution": {"id": execution.id, "number": str(execution.number)},
        "pipeline": {"name": execution.pipeline},
    }
    if execution.carried:
        found = execution.carried.variables | found
    for stage_name, stage in execution.stages.items():
        actions = execution.definition.stages[stage_name].actions
        for name, runs in stage.actions.items():
            if not is_rule(name) and runs[-1].status is Status.SUCCEEDED:
                found[actions[name].namespace or name] = runs[-1].variables
    return found


def artifacts_of(execution: Execution) -> dict[str, ArtifactRef]:
    """The artifacts that succeeded actions have left, by name."""
    carried = execution.carried.artifacts if execution.carried else {}
    return carried | {
        name: ref
        for stage in execution.stages.values()
        for action, runs in stage.actions.items()
        if not is_rule(action) and runs and runs[-1].status is Status.SUCCEEDED
        for name, ref in runs[-1].artifacts.items()
    }
