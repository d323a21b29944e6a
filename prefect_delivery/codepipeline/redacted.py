"""A declaration without the secrets that somebody wrote into it.

Source: CodePipeline user guide, "View pipeline details (CLI)": values of secret
configuration properties are answered as `****`, which `update-pipeline` takes to mean
that they stay as they are.
"""

from typing import Any

from prefect_delivery.masking import (
    REDACTED,
    SECRET_KEYS,
    holds_credentials,
    is_literal_secret,
    without_credentials,
)

Data = dict[str, Any]


def redacted(declared: Any) -> Any:
    """The same with `****` for tokens in configurations and for credentials in URLs."""
    match declared:
        case dict():
            return {key: _value(key, value) for key, value in declared.items()}
        case list():
            return [redacted(value) for value in declared]
        case str() if holds_credentials(declared):
            return without_credentials(declared)
        case _:
            return declared


def _value(key: str, value: Any) -> Any:
    if key in SECRET_KEYS and isinstance(value, str) and is_literal_secret(value):
        return REDACTED
    return redacted(value)
