"""Wait for the time at which a stage may go on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import ActionFailed, Outputs, action
from prefect_delivery.tasks.rules.windows import Freeze, Window, next_time, zone_of

Zone = Annotated[str, Field(json_schema_extra={"format": "time-zone"})]


@action("rule/deployment-window")
def wait_for_window(
    *,
    allow: list[Window] = [],
    deny: list[Window] = [],
    freeze: list[Freeze] = [],
    timezone: Zone = "UTC",
) -> Outputs:
    """Hold inside of the windows that allow, and outside of those that deny.

    Otherwise it waits for the next such time, at most as long as the rule's `timeout`;
    waiting takes up no worker. Somebody may override it meanwhile.

    Args:
        allow: Windows of which one must be open; with none, every time is allowed.
        deny: Windows all of which must be closed, such as holidays.
        freeze: Times, once each, in which nothing goes on, with the reason.
        timezone: IANA name of the time zone that all times are meant in.

    Raises:
        ActionFailed: No window is given, one is wrong, or none ever opens.

    Source: CodePipeline user guide, "DeploymentWindow".
    """
    return look(allow, deny, timezone, datetime.now(UTC), freeze)


def look(
    allow: list[Window],
    deny: list[Window],
    timezone: str,
    now: datetime,
    freeze: Sequence[Freeze] = (),
) -> Outputs:
    """What the rule answers at a time."""
    if not allow and not deny and not freeze:
        raise ActionFailed("give a window, under 'allow', 'deny' or 'freeze'")
    zone = zone_of(timezone)
    frozen = [(end, f.reason) for f in freeze if (end := f.holds(now, zone))]
    if frozen:
        end, reason = max(frozen)
        until = f"{end.astimezone(zone):%a %d %b %H:%M %Z}"
        return Outputs(again=end, summary=f"frozen until {until}: {reason}")
    time = next_time(allow, deny, zone, now)
    if time is None:
        raise ActionFailed("no window ever opens")
    if time <= now:
        return Outputs(summary="the window is open")
    return Outputs(
        again=time, summary=f"opens {time.astimezone(zone):%a %d %b %H:%M %Z}"
    )
