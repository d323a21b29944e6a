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
from prefect_delivery.tasks.rules.quartz import is_quartz, quartz

MOST_STEPS = 2000
"""Openings and closings to look at before we say: ask again at that time."""
MOST_DAYS = 4000
"""Days, some eleven years, in which a window must open that opens at all."""

LocalTime = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$")
]


class Window(BaseModel):
    """A time that comes again and again.

    Attributes:
        cron: When it opens, in five fields: minute, hour, day, month, day of week; or
            in six or seven as Quartz has them: seconds first, and perhaps a year.
        duration: Minutes that it stays open. With the default of one minute, it is open
            in every minute that `cron` names: `* 9-16 * * MON-FRI` is office hours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str = Field(
        json_schema_extra={"format": "window-cron"},
        description="When it opens: minute, hour, day, month, day of week; or Quartz's"
        " six or seven fields.",
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
        if not is_quartz(self.cron):
            return _next(self.cron, self.cron, after, zone)
        rule = quartz(self.cron)
        for _ in range(MOST_DAYS):
            found = _next(rule.plain, self.cron, after, zone)
            local = found.astimezone(zone) if found else None
            if local is None or (rule.last_year and local.year > rule.last_year):
                return None
            if rule.counts(local.date()):
                return found
            # Nothing of this day counts: look again from its last second on.
            after = local.replace(hour=23, minute=59, second=59, fold=1)
        return None

    def closing(self, now: datetime, zone: tzinfo) -> datetime | None:
        """When the window that is open at a time closes; None when none is open."""
        opened = self.opening(now - self.length, zone)
        return opened + self.length if opened and opened <= now else None


class Freeze(BaseModel):
    """A time, once, in which nothing goes on, and why.

    Attributes:
        start: Its beginning: `2026-12-20`, or `2026-12-20T18:00`, in the rule's zone.
        end: Its end, when things go on; of a date alone, its beginning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: LocalTime = Field(description="Beginning: a date, or a date and time.")
    end: LocalTime = Field(description="End, when things go on.")
    reason: Annotated[str, Field(min_length=1)] = Field(description="Why.")

    def holds(self, now: datetime, zone: tzinfo) -> datetime | None:
        """When it ends, if it holds at a time.

        Raises:
            ActionFailed: It has no such day, or ends before it begins.
        """
        try:
            begins = datetime.fromisoformat(self.start).replace(tzinfo=zone, fold=0)
            ends = datetime.fromisoformat(self.end).replace(tzinfo=zone, fold=1)
        except ValueError as error:
            raise ActionFailed(f"freeze '{self.reason}': {error}") from error
        start, end = begins.astimezone(UTC), ends.astimezone(UTC)
        if end <= start:
            raise ActionFailed(f"freeze '{self.reason}' ends before it begins")
        return end if start <= now < end else None


def _next(cron: str, shown: str, after: datetime, zone: tzinfo) -> datetime | None:
    """The first time of plain cron after a time."""
    start = after.astimezone(UTC)
    if len(cron.split()) != 5:
        raise ActionFailed(f"cron '{shown}' must have five fields, or Quartz's six")
    try:
        times = CronSim(cron, start.astimezone(zone))
    except CronSimError as error:
        raise ActionFailed(f"cron '{shown}': {str(error).lower()}") from error
    found = (time.astimezone(UTC) for time in times)
    # In an hour that comes twice, cronsim names times of its first pass only.
    return next((time for time in found if time > start), None)


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
