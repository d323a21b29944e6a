"""When windows are open: times by cron in a time zone, each for some minutes.

A window is counted in real minutes from its opening, so that a change of the clocks
neither repeats nor cuts it; what would open in the hour that a clock leaves out opens
when that hour is over, as in Debian's cron.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field

from prefect_delivery.errors import ActionFailed

MOST_STEPS = 2000
"""Openings and closings to look at before we say: ask again at that time."""


class Window(BaseModel):
    """A time that comes again and again.

    Attributes:
        cron: When it opens, in five fields: minute, hour, day, month, day of week.
        duration: Minutes that it stays open. With the default of one minute, it is open
            in every minute that `cron` names: `* 9-16 * * MON-FRI` is office hours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str = Field(
        json_schema_extra={"format": "cron"},
        description="When it opens: minute, hour, day, month, day of week.",
    )
    duration: Annotated[float, Field(ge=1, le=44_640)] = Field(
        default=1,
        description="Minutes it stays open; with 1, in each minute that cron names.",
    )

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.duration)

    def opening(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first opening after a time.

        Raises:
            ActionFailed: The cron expression is wrong.
        """
        start = after.astimezone(UTC)
        if len(self.cron.split()) != 5:
            raise ActionFailed(f"cron '{self.cron}' must have five fields")
        try:
            times = CronSim(self.cron, start.astimezone(zone))
        except CronSimError as error:
            raise ActionFailed(f"cron '{self.cron}': {str(error).lower()}") from error
        found = (time.astimezone(UTC) for time in times)
        # In an hour that comes twice, cronsim names times of its first pass only.
        return next((time for time in found if time > start), None)

    def closing(self, now: datetime, zone: tzinfo) -> datetime | None:
        """When the window that is open at a time closes; None when none is open."""
        opened = self.opening(now - self.length, zone)
        return opened + self.length if opened and opened <= now else None


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        ActionFailed: There is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ActionFailed(f"no time zone '{name}'") from error


def next_time(
    allow: Iterable[Window], deny: Iterable[Window], zone: tzinfo, now: datetime
) -> datetime | None:
    """The first time from `now` on that is allowed and not denied.

    Without any window that allows, all times are. Where windows deny everything for
    very long, the answer is a time at which it makes sense to ask again; None when no
    time ever comes.
    """
    allowed, denied = [*allow], [*deny]
    time = now.astimezone(UTC)
    for _ in range(MOST_STEPS):
        closings = [window.closing(time, zone) for window in denied]
        if until := max((c for c in closings if c), default=None):
            time = until
        elif allowed and not any(window.closing(time, zone) for window in allowed):
            openings = [window.opening(time, zone) for window in allowed]
            opens = min((o for o in openings if o), default=None)
            if opens is None:
                return None
            time = opens
        else:
            return time
    return time
