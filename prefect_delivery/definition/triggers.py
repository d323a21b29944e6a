"""Rules on what starts a pipeline: times, patterns, other pipelines."""

from collections.abc import Iterator, Mapping

from prefect_delivery.definition.findings import Finding, Path, meant, named
from prefect_delivery.definition.globs import glob_error
from prefect_delivery.definition.models import (
    Filter,
    Pipeline,
    PullRequestFilter,
    Triggers,
)


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
    for place, chosen in _filters(pipeline):
        yield from _check_filter(chosen, place)


def ring_of(pipelines: Mapping[str, Pipeline]) -> list[str]:
    """Pipelines whose success starts each other for ever; empty where none do."""

    def ring_from(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        before = pipelines[name].on.pipeline if name in pipelines else []
        rings = (ring_from(each, [*way, name]) for each in before)
        return next(filter(None, rings), [])

    return next(filter(None, (ring_from(name, []) for name in pipelines)), [])


def unstartable(pipeline: Pipeline) -> str | None:
    """Why triggers cannot start a pipeline; None when they can, or there are none."""
    needed = [name for name, each in pipeline.variables.items() if each.default is None]
    if not needed or pipeline.on == Triggers():
        return None
    return (
        f"only a person can start {pipeline.pipeline}:"
        f" variable {named(needed[0])} has no default"
    )


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
            if problem := trigger_pattern_problem(pattern):
                yield Finding(path=(*path, name, index), message=problem)


def trigger_pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of a filter; None when it is fine."""
    if "#{" in pattern:
        return f"pattern {named(pattern)} must not hold a variable"
    problem = glob_error(pattern)
    return problem and f"pattern {named(pattern)} {problem}"


def check_filters(pipeline: Pipeline) -> Iterator[Finding]:
    """What is allowed in triggers, and starts nothing."""
    for path, chosen in _filters(pipeline):
        pulls = isinstance(chosen, PullRequestFilter)
        if isinstance(chosen, PullRequestFilter) and not chosen.events:
            message = "no event of pull requests is named: none starts an execution"
            yield Finding(path=(*path, "events"), message=message)
        for name in ("branches", "tags", "paths"):
            excluded = set(getattr(chosen, f"{name}_ignore"))
            included = set(getattr(chosen, name))
            if "**" in excluded or (included and included <= excluded):
                message = f"all {name} are excluded: excludes win over includes"
                yield Finding(path=(*path, f"{name}_ignore"), message=message)
            if pulls and name == "tags" and (included or excluded):
                message = "pull requests have no tags: this is never looked at"
                place = "tags" if included else "tags_ignore"
                yield Finding(path=(*path, place), message=message)


def _filters(pipeline: Pipeline) -> Iterator[tuple[Path, Filter]]:
    for event in ("push", "pull_request"):
        filters: list[Filter] = getattr(pipeline.on, event) or []
        for index, chosen in enumerate(filters):
            alone = len(filters) == 1
            yield ("on", event) if alone else ("on", event, index), chosen
