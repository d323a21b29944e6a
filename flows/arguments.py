"""From an action's resolved call to the arguments of its task."""

import inspect
from functools import cache
from typing import Any, get_origin, get_type_hints

from prefect import Task
from pydantic import TypeAdapter, ValidationError

from prefect_delivery.actions import ActionFailed, Artifact, Job
from prefect_delivery.engine.resolve import Call
from prefect_delivery.engine.state import ArtifactRef


def arguments_of(task: Task[..., Any], call: Call, job: Job) -> dict[str, Any]:
    """Validate the configuration and add what the signature asks for besides it.

    Prefect validates the parameters of flows, not those of tasks.

    Raises:
        ActionFailed: A value does not fit after its variables were resolved.
    """
    hints = _hints(task)
    arguments: dict[str, Any] = {}
    for name, value in call.configuration.items():
        try:
            arguments[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ActionFailed(f"'{name}' of {call.uses}: {said}") from error
    for name, refs in call.inputs.items():
        arguments[name] = _artifacts(refs, hints[name])
    if "outputs" in hints and call.outputs:
        arguments["outputs"] = call.outputs
    if "job" in hints:
        arguments["job"] = job
    return arguments


@cache
def _hints(task: Task[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(task.fn, include_extras=True)
    return {name: hints[name] for name in inspect.signature(task.fn).parameters}


def _artifacts(
    refs: ArtifactRef | dict[str, ArtifactRef], hint: Any
) -> Artifact | list[Artifact] | dict[str, Artifact]:
    """The artifacts as the parameter wants them: one, a list, or by name."""
    if isinstance(refs, ArtifactRef):
        return Artifact(digest=refs.digest, size=refs.size)
    named = {
        name: Artifact(digest=ref.digest, size=ref.size) for name, ref in refs.items()
    }
    return list(named.values()) if get_origin(hint) is list else named
