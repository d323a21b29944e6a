"""Fetch secret values at the moment they are used."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

from prefect.blocks.system import Secret
from prefect.exceptions import PrefectException
from pydantic import JsonValue

from prefect_delivery.errors import ActionFailed
from prefect_delivery.masking import SHORTEST

_keeper: ContextVar[Callable[[str], str] | None] = ContextVar("keeper", default=None)
"""Gives the values of blocks, where Prefect's server is not to be asked."""


@contextmanager
def blocks_from(keeper: Callable[[str], str]) -> Iterator[None]:
    """Inside of it, `keeper` gives the value of a Secret block instead of Prefect."""
    token = _keeper.set(keeper)
    try:
        yield
    finally:
        _keeper.reset(token)


def fetch_secrets(references: Mapping[str, str]) -> dict[str, str]:
    """Replace references by the values they name.

    A reference is the name of a Prefect `Secret` block, or `env:NAME` for a variable of
    the worker's environment. Variables that hold Prefect's own access are refused.

    Raises:
        ActionFailed: A secret does not exist, or is too short to be hidden in logs.
    """
    return {name: _fetch(reference) for name, reference in references.items()}


def _fetch(reference: str) -> str:
    variable = reference.removeprefix("env:")
    if variable == reference:
        found = (_keeper.get() or _of_block)(reference)
    else:
        found = _of_worker(variable)
    if len(found) < SHORTEST:
        raise ActionFailed(
            f"secret '{reference}' has fewer than {SHORTEST} characters, "
            "too few to be hidden in logs"
        )
    return found


def _of_worker(variable: str) -> str:
    if variable.startswith("PREFECT_"):
        raise ActionFailed(f"'{variable}' belongs to Prefect and is not handed out")
    if variable not in os.environ:
        raise ActionFailed(
            f"the worker has no environment variable '{variable}'",
            hint=f"export {variable}=... before starting it",
        )
    return os.environ[variable]


def _of_block(name: str) -> str:
    try:
        block = cast("Secret[JsonValue]", Secret.load(name))
    except (ValueError, PrefectException) as error:
        raise ActionFailed(
            f"no Secret block '{name}' can be loaded",
            hint=f"create it: Secret(value=...).save('{name}')",
        ) from error
    # `get` would read text such as 1e5 as JSON.
    value = block.value.get_secret_value()
    return value if isinstance(value, str) else json.dumps(value)
