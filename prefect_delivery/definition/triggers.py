"""Rules on what starts a pipeline: times, patterns, other pipelines."""

from collections.abc import Iterator

from prefect_delivery.definition.findings import Finding, Path, meant, named
from prefect_delivery.definition.models import Filter, Pipeline
from prefect_delivery.definition.patterns import glob_problem


def check_triggers(pipeline: Pipeline) -> Iterator[Finding]:
    """What is wrong with the triggers of a pipeline."""
    for index, schedule in enumerate(pipeline.on.schedule):
        path = ("on", "schedule", index)
        if problem := cron_problem(schedule.cron):
            yield Finding(path=(*path, "cron"), message=problem)
        if problem := time_zone_problem(schedule.timezone):
            yield Finding(path=(*path, "timezone"), message=problem)
    for index, name in enumerate(pipeline.on.pipeline):
        if name == pipeline.pipeline:
            message = f"pipeline {named(name)} would start itself for ever"
            yield Finding(path=("on", "pipeline", index), message=message)
    for event in ("push", "pull_request"):
        if filters := getattr(pipeline.on, event):
            yield from _check_filter(filters, ("on", event))


def cron_problem(expression: str) -> str | None:
    """What is wrong with a five-field cron expression; None when it is fine."""
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        return f"cron {named(expression)} must have five fields, such as '0 6 * * 1-5'"
    try:
        times = CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"cron {named(expression)} is wrong: {str(error).lower()}"
    if next(times, None) is None:
        return f"cron {named(expression)} never comes"
    return None


def time_zone_problem(name: str) -> str | None:
    """What is wrong with the name of a time zone; None when it is fine."""
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        close = meant(name, available_timezones())
        return f"no time zone {named(name)}{close}"
    return None


def _check_filter(filters: Filter, path: Path) -> Iterator[Finding]:
    for name in Filter.model_fields:
        for index, pattern in enumerate(getattr(filters, name)):
            if problem := glob_problem(pattern):
                yield Finding(path=(*path, name, index), message=problem)
