"""The events that a delivery tells of, and which of them a definition asks for.

Sources: CodePipeline user guide, "Monitoring CodePipeline events" (states of pipelines,
stages and actions), and the ids of its notification rules.
"""

from collections.abc import Iterator
from typing import Final

from prefect_delivery.definition.findings import Finding, Path, meant, named
from prefect_delivery.definition.globs import glob_error, matches_any
from prefect_delivery.definition.models import Notification, Pipeline

PREFIX: Final = "prefect-delivery."
"""Of the names that Prefect has for them."""

EVENTS: Final = {
    "pipeline.started": "an execution was started",
    "pipeline.waiting": "it waits: for people, for a stage, or for a time",
    "pipeline.resumed": "it goes on: after waiting, or since somebody retried a stage",
    "pipeline.stopping": "somebody asked to stop it",
    "pipeline.succeeded": "it has ended, and all went well",
    "pipeline.failed": "it has ended, and something failed",
    "pipeline.stopped": "it was stopped, or its process has ended",
    "pipeline.superseded": "a newer execution has taken its place",
    "pipeline.cancelled": "it was cancelled",
    "stage.started": "an execution has entered a stage",
    "stage.resumed": "a stage carries out actions again, as its definition says",
    "stage.succeeded": "a stage has ended, and all went well",
    "stage.failed": "an action of it failed, or a condition was not met",
    "stage.skipped": "a condition said so",
    "stage.stopped": "it was stopped before its end",
    "stage.superseded": "a newer execution has taken the place of this one",
    "stage.cancelled": "it was cancelled",
    "action.started": "an attempt at an action, or a rule of a condition, has begun",
    "action.waiting": "it waits for people or for a time",
    "action.succeeded": "it has ended well",
    "action.failed": "it has failed, timed out or been rejected; it may be tried again",
    "action.skipped": "it had nothing to do",
    "action.stopped": "it was stopped before its end",
    "action.cancelled": "it was cancelled",
    "approval.waiting": "people are asked for a decision",
    "approval.voted": "somebody has approved, and others must still do so",
    "approval.approved": "all have approved who must",
    "approval.rejected": "somebody has rejected",
    "approval.failed": "nobody was asked, or nobody answered in time",
    "approval.stopped": "it was stopped or superseded before it was decided",
    "rollout.started": "a release goes into an environment",
    "rollout.resumed": "somebody has it go on, or back, after it was held or failed",
    "rollout.committed": "the environment runs the release",
    "rollout.rolled-back": "it failed or was stopped; what ran before runs again",
    "rollout.rollback-failed": "it failed, and so did the way back; needs a person",
    "rollout.held": "somebody stopped it where it was; needs a person",
}
"""Every event, and what has happened then."""

_OF_STAGES: Final = ("stage.", "action.", "approval.")


def asks_for(notification: Notification, event: str) -> bool:
    """Whether a notification is to be sent of an event."""
    return matches_any(event, notification.on)


def notifications_of(pipeline: Pipeline, stage: str | None) -> list[Notification]:
    """Those of a pipeline, and those of one of its stages."""
    spec = pipeline.stages.get(stage) if stage is not None else None
    return [*pipeline.notifications, *(spec.notifications if spec else ())]


def places_of(pipeline: Pipeline) -> list[str]:
    """The blocks that notifications of a pipeline go to."""
    stages = (stage.notifications for stage in pipeline.stages.values())
    found = [pipeline.notifications, *stages]
    return list(dict.fromkeys(each.to for some in found for each in some))


def check_notifications(pipeline: Pipeline) -> Iterator[Finding]:
    """What is wrong with the notifications of a pipeline and of its stages."""
    yield from _check(pipeline.notifications, ("notifications",), list(EVENTS))
    within = [event for event in EVENTS if event.startswith(_OF_STAGES)]
    for name, stage in pipeline.stages.items():
        path = ("stages", name, "notifications")
        yield from _check(stage.notifications, path, within)


def _check(
    found: list[Notification], path: Path, events: list[str]
) -> Iterator[Finding]:
    for index, notification in enumerate(found):
        for at, pattern in enumerate(notification.on):
            if problem := _problem(pattern, events):
                yield Finding(path=(*path, index, "on", at), message=problem)


def _problem(pattern: str, events: list[str]) -> str | None:
    if problem := glob_error(pattern):
        return f"pattern {named(pattern)} {problem}"
    if any(matches_any(event, [pattern]) for event in events):
        return None
    if any(matches_any(event, [pattern]) for event in EVENTS):
        return f"{named(pattern)} is not of one stage: ask for it above the stages"
    bare = pattern.removeprefix(PREFIX)
    return f"no event {named(pattern)}{meant(bare, events)}"
