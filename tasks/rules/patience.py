"""What rules that measure something outside share: they may be asked again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import ActionFailed, Outputs

Interval = Annotated[float, Field(ge=1, le=86_400)]
"""Seconds until a rule is asked again that does not hold yet."""


def measured(
    measure: Callable[[], str], every: float | None, now: datetime | None = None
) -> Outputs:
    """The answer of a rule that looks at something outside: an alarm, a page.

    Args:
        measure: Says in a few words what holds, or raises `ActionFailed`.
        every: Seconds after which to ask again while it does not hold; None when it
            then fails at once.
        now: The time; the present by default.
    """
    try:
        return Outputs(summary=measure())
    except ActionFailed as failed:
        if every is None:
            raise
        then = (now or datetime.now(UTC)) + timedelta(seconds=every)
        return Outputs(again=then, summary=failed.message)
