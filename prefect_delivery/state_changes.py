"""Events in the shape in which CodePipeline tells EventBridge of its executions.

Source: CodePipeline user guide, "Monitoring CodePipeline events".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from prefect_delivery.codepipeline.names import type_of
from prefect_delivery.definition.models import Action
from prefect_delivery.engine.state import ActionRun, Execution
from prefect_delivery.events import Event

Data = dict[str, Any]

_STATES: Final = {
    "started": "STARTED",
    "resumed": "RESUMED",
    "stopping": "STOPPING",
    "stopped": "STOPPED",
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "cancelled": "CANCELED",
    "superseded": "SUPERSEDED",
}
_KINDS: Final = {
    "pipeline": ("Pipeline", {*_STATES.values()}),
    "stage": ("Stage", {*_STATES.values()} - {"SUPERSEDED"}),
    "action": ("Action", {"STARTED", "SUCCEEDED", "FAILED", "CANCELED", "ABANDONED"}),
}
_TRIGGERS: Final = {
    "manual": "StartPipelineExecution",
    "rollback": "ManualRollback",
    "push": "WebhookV2",
}
_LONGEST: Final = 2000
"""Characters of what went wrong; EventBridge takes 256 KB for all of an event."""


@dataclass(frozen=True, kw_only=True)
class StateChange:
    """What CodePipeline would tell.

    Attributes:
        kind: Its `detail-type`.
        pipeline: Name of the pipeline, of which its `resources` are made.
    """

    id: str
    kind: str
    pipeline: str
    occurred: datetime
    detail: Data


def state_change(event: Event) -> StateChange | None:
    """An event as CodePipeline tells it; None for what CodePipeline does not tell."""
    execution, said = event.execution, event.payload
    of, _, word = event.name.partition(".")
    # An execution that goes on after it has waited was not retried.
    retried = word != "resumed" or of == "stage" or said.by is not None
    if execution is None or of not in _KINDS or not retried:
        return None
    name, known = _KINDS[of]
    state = "ABANDONED" if (of, word) == ("action", "stopped") else _STATES.get(word)
    # Rules of conditions are no actions there.
    if state not in known or ":" in (said.action or ""):
        return None
    detail = {
        "pipeline": execution.pipeline,
        "execution-id": execution.id,
        "start-time": _moment(execution.started),
        "execution-trigger": {
            "trigger-type": _TRIGGERS.get(
                execution.trigger.partition(" ")[0], "StartPipelineExecution"
            ),
            "trigger-detail": f"{execution.trigger} by {execution.started_by}",
        },
        **({"stage": said.stage} if of != "pipeline" else {}),
        **(_of_action(event, execution) if of == "action" else {}),
        "state": state,
        "version": float(_declared(execution).get("version", 1)),
        "pipeline-execution-attempt": float(_attempt(execution)),
    }
    if state == "STOPPING" and said.reason:
        detail["stop-execution-comments"] = said.reason[:_LONGEST]
    return StateChange(
        id=str(event.id),
        kind=f"CodePipeline {name} Execution State Change",
        pipeline=execution.pipeline,
        occurred=event.occurred,
        detail=detail,
    )


def _of_action(event: Event, execution: Execution) -> Data:
    said = event.payload
    stage, name = said.stage or "", said.action or ""
    spec = execution.definition.stages[stage].actions[name]
    found: Data = {
        "action": name,
        "action-execution-id": f"{execution.id}/{stage}/{name}/{said.attempt or 1}",
        "type": _type(spec),
    }
    if region := spec.with_.get("region"):
        found["region"] = region
    if event.name == "action.started":
        return found
    run = execution.stages.get(stage)
    attempts = run.actions.get(name) if run else None
    result = _result(event, attempts[-1] if attempts else None)
    return {**found, **({"execution-result": result} if result else {})}


def _result(event: Event, run: ActionRun | None) -> Data:
    failed = event.name == "action.failed"
    summary = event.payload.reason if failed else run and run.summary
    return {
        **({"external-execution-summary": summary[:_LONGEST]} if summary else {}),
        **({"external-execution-url": run.link} if run and run.link else {}),
        **({"error-code": "JobFailed"} if failed else {}),
    }


def _type(spec: Action) -> Data:
    """CodePipeline's name of an action type; ours, as a custom one, where it has none."""
    if known := type_of(spec.uses):
        return {
            "owner": known.owner,
            "provider": known.provider,
            "category": known.category,
            "version": "1",
        }
    category, _, provider = spec.uses.partition("/")
    return {
        "owner": "Custom",
        "provider": spec.with_.get("provider", provider),
        "category": spec.with_.get("category", category.capitalize()),
        "version": spec.with_.get("version", "1"),
    }


def _declared(execution: Execution) -> Data:
    part = execution.definition.codepipeline
    return part.declaration if part else {}


def _attempt(execution: Execution) -> int:
    """How often the most retried action of the execution was carried out again."""
    runs = [
        len(attempts)
        for stage in execution.stages.values()
        for attempts in stage.actions.values()
    ]
    return max([*runs, 1]) - 1


def _moment(time: datetime) -> str:
    return (
        time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
