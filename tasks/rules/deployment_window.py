"""Wait for the time at which a stage may go on."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import ActionFailed, Outputs, action
from prefect_delivery.tasks.rules.windows import Window, next_time, zone_of

Zone = Annotated[str, Field(json_schema_extra={"format": "time-zone"})]


@action("rule/deployment-window")
def wait_for_window(
    *, allow: list[Window] = [], deny: list[Window] = [], timezone: Zone = "UTC"
) -> Outputs:
    """Hold inside of the windows that allow, and outside of those that deny.

    Otherwise it waits for the next such time, at most as long as the rule's `timeout`;
    waiting takes up no worker. Somebody may override it meanwhile.

    Args:
        allow: Windows of which one must be open; with none, every time is allowed.
        deny: Windows all of which must be closed, such as holidays.
        timezone: IANA name of the time zone that all times are meant in.

    Raises:
        ActionFailed: No window is given, one is wrong, or none ever opens.

    Source: CodePipeline user guide, "DeploymentWindow".
    """
    return look(allow, deny, timezone, datetime.now(UTC))


def look(
    allow: list[Window], deny: list[Window], timezone: str, now: datetime
) -> Outputs:
    """What the rule answers at a time."""
    if not allow and not deny:
        raise ActionFailed("give a window, under 'allow' or 'deny'")
    zone = zone_of(timezone)
    time = next_time(allow, deny, zone, now)
    if time is None:
        raise ActionFailed("no window ever opens")
    if time <= now:
        return Outputs(summary="the window is open")
    return Outputs(
        again=time, summary=f"opens {time.astimezone(zone):%a %d %b %H:%M %Z}"
    )
