"""A story and a comparison as JSON data. Keys are added, never renamed."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from prefect_delivery.cli.data import execution_data
from prefect_delivery.story import Story
from prefect_delivery.timing import Leg, Spent, Timing


def story_data(story: Story, now: datetime) -> dict[str, Any]:
    """Everything that the ledger knows of an execution, its definition included."""
    carried = story.execution.carried
    return execution_data(story.execution, now) | {
        "snapshot": story.execution.definition.snapshot(),
        "carried": {
            "from": story.other.number if story.other else None,
            "purpose": carried.purpose,
            "environment": carried.environment,
            "older": carried.older,
        }
        if carried
        else None,
        "timing": timing_data(story.timing),
        "waits": [asdict(wait) for wait in story.waits],
        "votes": [
            {"stage": stage, "action": action, "attempt": attempt} | asdict(vote)
            for (stage, action, attempt), votes in story.votes.items()
            for vote in votes
        ],
        "rollouts": [asdict(rollout) for rollout in story.rollouts],
        "untold": [asdict(place) for place in story.untold],
        "audit": [asdict(entry) for entry in story.entries],
    }


def timing_data(timing: Timing) -> dict[str, Any]:
    """Seconds, in all and by stage; running, and by what was waited for."""
    return {
        **spent_data(timing.whole),
        "stages": {name: spent_data(spent) for name, spent in timing.stages.items()},
        "critical_path": [_leg(leg) for leg in timing.critical],
    }


def spent_data(spent: Spent) -> dict[str, Any]:
    return {"total": spent.total, "running": spent.running, "waiting": spent.waiting}


def _leg(leg: Leg) -> dict[str, Any]:
    return asdict(leg) | {"seconds": leg.seconds}
