"""From entries of the audit log to what happened, as events.

An entry makes the same events each time, with the same ids. So an event may be sent
twice, and counts once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from prefect.utilities.urls import url_for

from prefect_delivery.definition.events import PREFIX
from prefect_delivery.engine.conditions import shown
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.events import Event, Payload
from prefect_delivery.ledger import Entry, Rollout

VERBS: Final = frozenset(
    {
        "start execution",
        "set status",
        "request stop",
        "reopen",
        "end",
        "supersede",
        "enter stage",
        "retry stage",
        "end stage",
        "begin action",
        "end action",
        "decide",
        "open rollout",
        "close rollout",
    }
)
"""Entries of the audit log that change a state which events tell of."""
_PEOPLE: Final = {"start execution", "request stop", "reopen", "decide"}
_MOST: Final = 2000
"""Characters of a reason, of which commands may have written any number."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the ledger knows of what an entry is about.

    Attributes:
        execution: None for a rollout outside of pipelines.
        deployment: Id of the Prefect deployment that the execution is a run of.
    """

    execution: Execution | None = None
    rollout: Rollout | None = None
    deployment: str | None = None


def parts_of(subject: str) -> tuple[str, int, str | None, str | None]:
    """Pipeline, number, stage and action of `shop #42 / Build / unit`.

    Names hold no blanks, so a title can be taken apart.
    """
    title, *rest = subject.split(" / ")
    pipeline, _, number = title.rpartition(" #")
    stage, action = (*rest, None, None)[:2]
    return pipeline, int(number), stage, action


def events_of(entry: Entry, known: Known) -> Iterator[Event]:
    """What happened, by an entry whose verb is one of `VERBS`."""
    if known.rollout is not None:
        yield _event(entry, known, f"rollout.{_rollout_state(entry)}")
        return
    _, _, stage, action = parts_of(entry.subject)
    for name, one in _names(entry, known.execution, stage, action):
        yield _event(entry, known, name, stage, one)


def _names(
    entry: Entry, execution: Execution | None, stage: str | None, action: str | None
) -> Iterator[tuple[str, str | None]]:
    """Names of the events, each with the action that it is of."""
    status = str(entry.detail.get("status", ""))
    match entry.verb:
        case "start execution":
            yield "pipeline.started", None
        case "set status":
            waits = status == Status.WAITING
            yield f"pipeline.{'waiting' if waits else 'resumed'}", None
        case "request stop":
            yield "pipeline.stopping", None
        case "reopen":
            yield "pipeline.resumed", None
        case "end":
            yield f"pipeline.{status}", None
        case "supersede":
            for each in entry.detail.get("actions", ()):
                yield from _action_names(execution, stage, each, Status.STOPPED)
            yield "stage.superseded", None
            if entry.detail.get("ended"):
                yield "pipeline.superseded", None
        case "enter stage":
            yield "stage.started", None
        case "retry stage":
            yield "stage.resumed", None
        case "end stage":
            yield f"stage.{status}", None
        case "begin action":
            yield "action.started", action
        case "end action":
            yield from _action_names(execution, stage, action, status)
        case "decide":
            approved = bool(entry.detail.get("approved"))
            if approved and entry.detail.get("missing"):
                yield "approval.voted", action
                return
            yield f"approval.{'approved' if approved else 'rejected'}", action
            yield f"action.{'succeeded' if approved else 'failed'}", action


def _action_names(
    execution: Execution | None, stage: str | None, action: str | None, status: str
) -> Iterator[tuple[str, str | None]]:
    yield f"action.{status}", action
    specs = execution.definition.stages if execution else {}
    spec = specs[stage].actions.get(action or "") if stage in specs else None
    if spec is not None and spec.uses.startswith("approval/"):
        yield f"approval.{status}", action


def _rollout_state(entry: Entry) -> str:
    if entry.verb == "close rollout":
        return str(entry.detail["status"])
    return "resumed" if "again" in entry.detail else "started"


def _event(
    entry: Entry,
    known: Known,
    name: str,
    stage: str | None = None,
    action: str | None = None,
) -> Event:
    execution, rollout = known.execution, known.rollout
    resource, title = _resource(name, known, stage, action)
    reason = _reason(entry)
    asked = _asked(execution, stage, action) if name == "approval.waiting" else {}
    link = _link(execution)
    environment = rollout.environment if rollout else asked.get("environment")
    payload = Payload(
        text=_text(name, title, entry, reason or asked.get("message")),
        next=_next(name, execution, environment),
        pipeline=execution.pipeline if execution else None,
        number=execution.number if execution else None,
        execution=execution.id if execution else None,
        stage=stage,
        action=action,
        attempt=entry.detail.get("attempt") if action else None,
        environment=environment,
        rollout=rollout.id if rollout else None,
        release=rollout.release if rollout else None,
        kind=rollout.kind if rollout else None,
        reason=reason,
        by=entry.actor if entry.verb in _PEOPLE else None,
        trigger=execution.trigger if execution else None,
        started_by=execution.started_by if execution else None,
        revisions=execution.revisions if execution else None,
        definition=execution.definition.digest if execution else None,
        link=asked.get("link") or link,
    )
    return Event(
        id=uuid5(UUID(entry.hash[:32]), f"{name} {action or ''}"),
        name=name,
        occurred=entry.at,
        stage=None if name.startswith("pipeline.") else stage,
        resource=resource,
        title=title,
        payload=payload,
        related=_related(known, name, environment),
        execution=execution,
    )


def _resource(
    name: str, known: Known, stage: str | None, action: str | None
) -> tuple[str, str]:
    """Id of what an event is of, and how people call it."""
    if known.rollout is not None:
        return f"{PREFIX}rollout.{known.rollout.id}", known.rollout.environment
    execution = known.execution
    assert execution is not None  # noqa: S101 - what is no rollout is of an execution
    whole, title = f"{PREFIX}execution.{execution.id}", execution.title
    if action is not None:
        named = f"{title} / {stage} / {shown(action)}"
        return f"{whole}.action.{stage}.{action}", named
    if name.startswith("stage."):
        return f"{whole}.stage.{stage}", f"{title} / {stage}"
    return whole, title


def _related(known: Known, name: str, environment: str | None) -> dict[str, str]:
    execution = known.execution
    found = {
        "execution": execution
        and not name.startswith("pipeline.")
        and f"{PREFIX}execution.{execution.id}",
        "flow-run": execution
        and execution.flow_run
        and f"prefect.flow-run.{execution.flow_run}",
        "deployment": known.deployment and f"prefect.deployment.{known.deployment}",
        "environment": environment and f"{PREFIX}environment.{environment}",
    }
    return {role: id for role, id in found.items() if id}


def _reason(entry: Entry) -> str | None:
    detail = entry.detail
    if entry.verb == "supersede":
        return f"superseded by #{detail['by']}"
    said = detail.get("error") or detail.get("reason") or detail.get("comment")
    return str(said)[:_MOST] if said else None


def _text(name: str, title: str, entry: Entry, reason: str | None) -> str:
    kind, _, state = name.partition(".")
    words = state.replace("-", " ")
    said = {
        "approval.waiting": f"{title} waits for approval",
        "approval.voted": f"{entry.actor} has approved {title}; others must, too",
        "approval.approved": f"{title} approved by {entry.actor}",
        "approval.rejected": f"{title} rejected by {entry.actor}",
        "pipeline.started": f"{title} started by {entry.actor}",
    }.get(name, f"{'rollout into ' if kind == 'rollout' else ''}{title} {words}")
    return f"{said}: {reason}" if reason else said


def _next(name: str, execution: Execution | None, environment: str | None) -> list[str]:
    if name in {"rollout.held", "rollout.rollback-failed"}:
        return [f"deliver env repair {environment} --help"]
    if execution is None:
        return []
    named = f"{execution.pipeline} {execution.number}"
    match name:
        case "approval.waiting":
            verbs = ("approve", "reject")
            return [f'deliver {verb} {named} -m "..."' for verb in verbs]
        case "pipeline.failed" | "pipeline.stopped":
            return [f"deliver logs {named} --failed", f"deliver retry {named}"]
        case _:
            return [f"deliver show {named}"]


def _asked(
    execution: Execution | None, stage: str | None, action: str | None
) -> dict[str, str]:
    """What an approval is about, as its action has said."""
    run = execution.stages.get(stage or "") if execution else None
    attempts = run.actions.get(action or "") if run else None
    if not attempts:
        return {}
    last = attempts[-1]
    found = {
        "message": last.summary,
        "link": last.link,
        "environment": last.variables.get("environment"),
    }
    return {key: value for key, value in found.items() if value}


def _link(execution: Execution | None) -> str | None:
    if execution is None or not execution.flow_run:
        return None
    return url_for("flow-run", UUID(execution.flow_run))
