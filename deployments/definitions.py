"""What Prefect is told of a pipeline: its deployment, as plain data.

The definition goes along as a parameter, as text. So whatever machine carries a run out
has it, without access to files or to anything else of whoever deployed; and Prefect
keeps a run's parameters as they were when it was asked for. As text, because PostgreSQL
keeps no order of keys, and with the order of stages a definition's digest changes.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import EventTrigger, Posture

from prefect_delivery.control import MOST_CHARACTERS
from prefect_delivery.definition.models import Pipeline

Settings = dict[str, Any]
"""What Prefect is told; of what it has, it is read back in the same form."""

FLOW: Final = "pipeline"
ENTRYPOINT: Final = "prefect_delivery.flows.pipeline.pipeline"
TAG: Final = "delivery"


def settings_of(
    definition: Pipeline,
    *,
    pool: str,
    queue: str | None = None,
    tags: Sequence[str] = (),
    job_variables: dict[str, Any] | None = None,
) -> Settings:
    """The deployment that a definition becomes."""
    return {
        "definition": definition.snapshot(),
        "version": definition.digest[:12],
        "description": definition.description,
        "entrypoint": ENTRYPOINT,
        "parameters": {},
        "form": form_of(definition),
        "schedules": {
            each.slug: {
                "cron": each.cron,
                "timezone": each.timezone,
                "active": True,
                "parameters": {"trigger": f"schedule {each.slug}"},
            }
            for each in definition.on.schedule
        },
        "events": sorted(set(definition.on.event)),
        "tags": sorted({TAG, *tags}),
        "work_pool": pool,
        "work_queue": queue or "default",
        "job_variables": job_variables or {},
        "concurrency_limit": None,
    }


def form_of(definition: Pipeline) -> dict[str, Any]:
    """The schema that Prefect's page makes a form of: variables and revisions."""
    variables = {
        name: {
            "title": name,
            "type": "string",
            "position": position,
            "minLength": 1,
            "maxLength": MOST_CHARACTERS,
            **({"description": each.description} if each.description else {}),
            **({"default": each.default} if each.default is not None else {}),
        }
        for position, (name, each) in enumerate(definition.variables.items())
    }
    needed = [name for name, v in definition.variables.items() if v.default is None]
    revisions = {
        name: {
            "title": name,
            "type": "string",
            "position": position,
            "description": f"What {action.uses} is pinned to; the newest by default.",
        }
        for position, (name, action) in enumerate(sources_of(definition).items())
    }
    parts = {
        "variables": _group("Variables", variables, needed),
        "revisions": _group("Revisions", revisions, []),
    }
    properties = {name: part for name, part in parts.items() if part["properties"]}
    for position, part in enumerate(properties.values()):
        part["position"] = position
    return {
        "title": definition.pipeline,
        "type": "object",
        "properties": properties,
        "required": ["variables"] if needed else [],
        "definitions": {},
    }


def sources_of(definition: Pipeline) -> dict[str, Any]:
    """The source actions of a definition, by name."""
    return {
        name: action
        for stage in definition.stages.values()
        for name, action in stage.actions.items()
        if action.uses.startswith("source/")
    }


def found_settings(found: DeploymentResponse, events: Sequence[str]) -> Settings:
    """What Prefect has, in the form of `settings_of`."""
    given = dict(found.parameters)
    limit = found.global_concurrency_limit
    return {
        "definition": _definition(given.pop("definition", None)),
        "version": found.version,
        "description": found.description or "",
        "entrypoint": found.entrypoint,
        "parameters": given,
        "form": found.parameter_openapi_schema or {},
        "schedules": {
            each.slug or str(each.id): {
                "cron": getattr(each.schedule, "cron", str(each.schedule)),
                "timezone": getattr(each.schedule, "timezone", None),
                "active": each.active,
                "parameters": each.parameters,
            }
            for each in found.schedules
        },
        "events": sorted(set(events)),
        "tags": sorted(found.tags),
        "work_pool": found.work_pool_name,
        "work_queue": found.work_queue_name,
        "job_variables": found.job_variables,
        "concurrency_limit": limit.limit if limit else None,
    }


def parameters_of(settings: Settings) -> dict[str, Any]:
    """The parameters that a deployment gives each of its runs."""
    return {"definition": json.dumps(settings["definition"])}


def schedules_of(settings: Settings) -> list[DeploymentScheduleCreate]:
    """The schedules as Prefect takes them."""
    return [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=each["cron"], timezone=each["timezone"]),
            active=each["active"],
            parameters=each["parameters"],
            slug=slug,
        )
        for slug, each in settings["schedules"].items()
    ]


def event_triggers(name: str, settings: Settings) -> list[DeploymentEventTrigger]:
    """Automations that start a pipeline when an event of some name comes.

    The event's id becomes the key of the start: what Prefect tells twice starts once.
    """
    return [
        DeploymentEventTrigger(
            name=f"{name}: {event}",
            expect={event},
            posture=Posture.Reactive,
            threshold=1,
            parameters={"trigger": f"event {event} {{{{ event.id }}}}"},
        )
        for event in settings["events"]
    ]


def events_of(triggers: Sequence[object]) -> list[str]:
    """The events that automations wait for."""
    return [
        event
        for trigger in triggers
        if isinstance(trigger, EventTrigger)
        for event in trigger.expect
    ]


def _group(title: str, properties: dict[str, Any], needed: list[str]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def _definition(parameter: Any) -> Any:
    if not isinstance(parameter, str):
        return parameter
    try:
        return json.loads(parameter)
    except ValueError:
        return parameter
