"""Rules on secrets: none stands in a definition, which is recorded for every run."""

from collections.abc import Iterator
from typing import Any

from prefect_delivery.definition.configuration import uses_of
from prefect_delivery.definition.findings import Finding, Path, named
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.masking import (
    NAMES_A_SECRET,
    holds_credentials,
    names_a_secret,
)


def check_credentials(pipeline: Pipeline) -> Iterator[Finding]:
    """Where a secret itself stands instead of the name of one."""
    for name, variable in pipeline.variables.items():
        yield from _check_urls(variable.default, ("variables", name, "default"))
    for name, environment in pipeline.environments.items():
        yield from _check_urls(environment, ("environments", name))
    for use in uses_of(pipeline):
        path = (*use.path, "with")
        yield from _check_urls(use.what.with_, path)
        for key in NAMES_A_SECRET:
            value = use.what.with_.get(key)
            if isinstance(value, str) and not names_a_secret(value):
                yield Finding(
                    path=(*path, key),
                    message=f"{named(key)} is no name of a secret",
                    hint="save it in a Prefect Secret block and name that, or env:NAME",
                )


def _check_urls(value: Any, path: Path) -> Iterator[Finding]:
    match value:
        case dict():
            for key, part in value.items():
                yield from _check_urls(part, (*path, key))
        case list():
            for index, part in enumerate(value):
                yield from _check_urls(part, (*path, index))
        case str() if holds_credentials(value):
            yield Finding(
                path=path,
                message="this URL holds credentials, which would be recorded",
                hint="save them in a Prefect Secret block, name that where the action "
                "takes a secret, and leave the URL without",
            )
