"""Compare a variable with a value."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

import regex  # type: ignore[import-untyped]  # ships no types
from pydantic import Field

from prefect_delivery.actions import ActionFailed, Outputs, action

Operator = Literal["EQ", "NE", "CONTAINS", "MATCHES", "LT", "LE", "GT", "GE"]
Operand = Annotated[str, Field(max_length=4000)]

LONGEST = 200
"""Characters of a value that an error shows."""
MATCH_SECONDS = 2.0
"""How long a regular expression may take: many need for ever on some text."""


@action("rule/variable-check")
def check_variable(variable: Operand, operator: Operator, value: Operand) -> Outputs:
    """Hold when `variable` compares to `value` as said.

    `EQ`, `NE` and `CONTAINS` compare text; `MATCHES` wants the whole text to match the
    regular expression in `value`; `LT`, `LE`, `GT` and `GE` compare decimal numbers.

    Args:
        variable: What is compared, such as `#{build.coverage}`.
        operator: How it is compared.
        value: What it is compared with.

    Raises:
        ActionFailed: It does not compare so, or is no number where one is needed.

    Source: CodePipeline user guide, "VariableCheck"; numbers are ours.
    """
    if not _COMPARE[operator](variable, value):
        raise ActionFailed(f"'{_short(variable)}' {_SAID[operator]} '{_short(value)}'")
    return Outputs(summary=f"{_short(variable)} {operator} {_short(value)}")


def _matches(text: str, pattern: str) -> bool:
    try:
        found = regex.fullmatch(pattern, text, timeout=MATCH_SECONDS)
    except regex.error as error:
        raise ActionFailed(
            f"'{_short(pattern)}' is no regular expression: {error}"
        ) from error
    except TimeoutError as error:
        raise ActionFailed(
            f"matching '{_short(pattern)}' took longer than {MATCH_SECONDS:g} s",
            hint="write it without repetitions within repetitions",
        ) from error
    return found is not None


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if number.is_nan():
        raise ActionFailed(f"'{_short(text)}' is no number")
    return number


def _numeric(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[str, str], bool]:
    return lambda variable, value: compare(_number(variable), _number(value))


_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "EQ": lambda variable, value: variable == value,
    "NE": lambda variable, value: variable != value,
    "CONTAINS": lambda variable, value: value in variable,
    "MATCHES": _matches,
    "LT": _numeric(lambda variable, value: variable < value),
    "LE": _numeric(lambda variable, value: variable <= value),
    "GT": _numeric(lambda variable, value: variable > value),
    "GE": _numeric(lambda variable, value: variable >= value),
}
_SAID: Mapping[str, str] = {
    "EQ": "is not",
    "NE": "is",
    "CONTAINS": "does not contain",
    "MATCHES": "does not match",
    "LT": "is not less than",
    "LE": "is more than",
    "GT": "is not more than",
    "GE": "is less than",
}


def _short(text: Any) -> str:
    words = str(text)
    return words if len(words) <= LONGEST else words[:LONGEST] + "..."
