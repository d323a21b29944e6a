"""Which actions, rules and environments there are, and how they are configured."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from prefect_delivery.definition.catalogue import ActionSpec, Catalogue, Schema
from prefect_delivery.definition.findings import Finding, Path, listed, meant, named
from prefect_delivery.definition.models import Action, Pipeline, Rule
from prefect_delivery.definition.schemas import violations


@dataclass(frozen=True, kw_only=True)
class Use:
    """A place that uses an action or a rule of the catalogue."""

    path: Path
    label: str
    what: Action | Rule


ALARM: Final = "rule/alarm"
"""The rule whose configuration depends on a source."""


@dataclass(kw_only=True)
class Found:
    """The actions that a definition uses, and what is wrong with their use."""

    specs: dict[str, ActionSpec] = field(default_factory=dict[str, ActionSpec])
    findings: list[Finding] = field(default_factory=list[Finding])


def look_up(
    uses: Iterable[Use], catalogue: Catalogue, optional: Collection[str] = ()
) -> Found:
    """Find what is used in the catalogue and check its configuration.

    Args:
        optional: Names that may be missing from the catalogue.
    """
    found = Found()
    for use in uses:
        name = use.what.uses
        if name not in found.specs:
            try:
                spec = catalogue.action(name)
            except Exception as error:  # noqa: BLE001 - another package's import
                found.findings.append(_broken(use, error))
                continue
            if spec is None:
                if name not in optional:
                    found.findings.append(_unknown(use, catalogue))
                continue
            found.specs[name] = spec
        found.findings += _check(use, found.specs[name])
        if name == ALARM:
            found.findings += _check_alarm(use, catalogue)
    return found


def uses_of(pipeline: Pipeline) -> Iterator[Use]:
    """Every use of an action or rule in a pipeline."""
    for stage_name, stage in pipeline.stages.items():
        at: Path = ("stages", stage_name)
        for name, action in stage.actions.items():
            label = f"action {named(f'{stage_name} / {name}')}"
            yield Use(path=(*at, "actions", name), label=label, what=action)
        for when in ("before_entry", "on_success", "on_failure"):
            condition = getattr(stage, when)
            for name, rule in (condition.rules if condition else {}).items():
                path = (*at, when, "rules", name)
                yield Use(path=path, label=f"rule {named(name)}", what=rule)


def uses_in(data: Any) -> Iterator[Use]:
    """Every well-formed action in data that is no pipeline, to say what can be said."""
    stages = data.get("stages") if isinstance(data, dict) else None
    for stage_name, stage in stages.items() if isinstance(stages, dict) else ():
        actions = stage.get("actions") if isinstance(stage, dict) else None
        for name, raw in actions.items() if isinstance(actions, dict) else ():
            try:
                known = raw.keys() & {"uses", "with"} if isinstance(raw, dict) else ()
                action = Action.model_validate({key: raw[key] for key in known})
            except ValidationError:
                continue  # reported already, as an error of its shape
            label = f"action {named(f'{stage_name} / {name}')}"
            path = ("stages", stage_name, "actions", name)
            yield Use(path=path, label=label, what=action)


def check_environments(
    environments: dict[str, dict[str, Any]], catalogue: Catalogue
) -> Iterator[Finding]:
    """What is wrong with the environments of a definition."""
    for name, configuration in environments.items():
        path: Path = ("environments", name)
        schema = _environment_schema(configuration.get("kind"), catalogue)
        if isinstance(schema, str):
            message = f"environment {named(name)}: {schema}"
            yield Finding(path=(*path, "kind"), message=message)
            continue
        rest = {key: value for key, value in configuration.items() if key != "kind"}
        yield from _against(schema, rest, path, f"environment {named(name)}", hint=None)


def _environment_schema(kind: object, catalogue: Catalogue) -> Schema | str:
    """The schema of a kind of environment, or what is wrong with the kind."""
    if not isinstance(kind, str):
        return f"'kind' must be {listed(catalogue.environment_kinds())}"
    try:
        schema = catalogue.environment(kind)
    except Exception as error:  # noqa: BLE001 - another package's import
        return f"kind {named(kind)} cannot be loaded: {_reason(error)}"
    kinds = catalogue.environment_kinds() if schema is None else []
    others = meant(kind, kinds) or f"; there is {listed(kinds, last='and')}"
    return schema if schema is not None else f"unknown kind {named(kind)}{others}"


def _check(use: Use, spec: ActionSpec) -> Iterator[Finding]:
    is_rule = isinstance(use.what, Rule)
    if is_rule != (spec.category == "rule"):
        wanted = "a rule" if is_rule else "an action"
        message = f"{named(spec.name)} is not {wanted}, so it cannot stand here"
        yield Finding(path=(*use.path, "uses"), message=message)
        return
    hint = f"deliver schema {spec.name}"
    path = (*use.path, "with")
    yield from _against(spec.schema, use.what.with_, path, use.label, hint=hint)


def _check_alarm(use: Use, catalogue: Catalogue) -> Iterator[Finding]:
    """What is wrong with the alarm that a rule asks, in the words of its source."""
    source, alarm = (use.what.with_.get(name) for name in ("source", "alarm"))
    if not isinstance(source, str) or "#{" in source or not isinstance(alarm, dict):
        return  # reported already, or known at the time of the run only
    path = (*use.path, "with")
    try:
        schema = catalogue.alarm(source)
    except Exception as error:  # noqa: BLE001 - another package's import
        message = f"source {named(source)} cannot be loaded: {_reason(error)}"
        yield Finding(path=(*path, "source"), message=message)
        return
    if schema is None:
        sources = catalogue.alarm_sources()
        others = meant(source, sources) or f"; there is {listed(sources, last='and')}"
        message = f"unknown source of alarms {named(source)}{others}"
        yield Finding(path=(*path, "source"), message=message)
        return
    yield from _against(schema, alarm, (*path, "alarm"), use.label, hint=None)


def _against(
    schema: dict[str, Any], value: object, path: Path, label: str, *, hint: str | None
) -> Iterator[Finding]:
    for violation in violations(value, schema):
        message = violation.message
        if violation.key:
            head, mark, tail = message.partition("; did")
            message = f"{head} in {label}{mark}{tail}"
        elif not violation.path:
            message = f"{message} in {label}"
        yield Finding(
            path=(*path, *violation.path),
            message=message,
            key=violation.key,
            hint=hint,
        )


def _unknown(use: Use, catalogue: Catalogue) -> Finding:
    kind = "rule" if isinstance(use.what, Rule) else "action"
    known = [
        name
        for name in catalogue.action_names()
        if name.startswith("rule/") == (kind == "rule")
    ]
    message = f"unknown {kind} {named(use.what.uses)} in {use.label}"
    message += meant(use.what.uses, known)
    return Finding(path=(*use.path, "uses"), message=message, hint="deliver schema")


def _broken(use: Use, error: Exception) -> Finding:
    message = f"action {named(use.what.uses)} cannot be loaded: {_reason(error)}"
    return Finding(path=(*use.path, "uses"), message=message)


def _reason(error: Exception) -> str:
    return named(f"{type(error).__name__}: {error}", limit=300)[1:-1]
