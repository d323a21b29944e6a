"""Ask an alarm whether a stage may go on."""

import importlib
import importlib.util
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from prefect_delivery.actions import ActionFailed, Job, Outputs, action
from prefect_delivery.definition.catalogue import ALARMS_GROUP, installed
from prefect_delivery.tasks.alarms.source import AlarmSource, Reading, State
from prefect_delivery.tasks.rules.patience import Interval

Watch = Annotated[float, Field(ge=0, le=86_400)]

GOOD: Final[dict[str, tuple[State, ...]]] = {
    "before_entry": ("OK",),
    "on_success": ("OK", "INSUFFICIENT_DATA"),
    "on_failure": ("ALARM",),
}
"""States that hold, by condition (CodePipeline user guide, "CloudWatchAlarm")."""


@action(
    "rule/alarm",
    permissions=("cloudwatch:DescribeAlarms",),
)
def watch_alarm(
    source: str,
    alarm: dict[str, Any],
    *,
    states: list[State] = [],
    wait: Watch = 0,
    interval: Interval = 30,
    job: Job = Job(),
) -> Outputs:
    """Watch an alarm and hold when it stands as it should.

    Before a stage it holds as soon as the alarm is `OK`; after a failure as soon as it
    is in `ALARM`; both fail when `wait` is over first. After a success it watches for
    all of `wait`: it fails as soon as the alarm is in `ALARM`, and holds when it is
    `OK` or has no data at the end. A source that is down, slow, or gives no number has
    no data; a question that it calls wrong fails the rule. Waiting takes up no worker.

    Args:
        source: Where the alarm is, such as `prometheus`.
        alarm: Which alarm, in the words of its source.
        states: States that hold, instead of those above.
        wait: Minutes to watch.
        interval: Seconds until the alarm is looked at again.

    Raises:
        ActionFailed: The alarm does not stand as it should, or there is no such alarm.

    Source: CodePipeline user guide, "CloudWatchAlarm".
    """
    when = job.condition or "before_entry"
    now = datetime.now(UTC)
    # The watch is outside work: whoever asks again learns when it began.
    begun = datetime.fromisoformat(job.start_or_attach(now.isoformat))
    return judged(
        alarm_of(source, alarm).read(),
        when,
        tuple(states) or GOOD[when],
        now=now,
        ends=begun + timedelta(minutes=wait),
        interval=timedelta(seconds=interval),
    )


def judged(
    reading: Reading,
    when: str,
    good: tuple[State, ...],
    *,
    now: datetime,
    ends: datetime,
    interval: timedelta,
) -> Outputs:
    """What the rule answers to a reading, at a time of the watch."""
    said = f"{reading.state}: {reading.said}"
    holds = reading.state in good
    throughout = when == "on_success"
    if throughout and reading.state == "ALARM" and not holds:
        raise ActionFailed(said)
    if holds and (not throughout or now >= ends):
        return Outputs(summary=said)
    if now < ends:
        then = min(now + interval, ends)
        return Outputs(again=then, summary=f"{said}; watched until {ends:%H:%M} UTC")
    raise ActionFailed(f"{said}, not {' or '.join(good)}")


def alarm_of(source: str, settings: dict[str, Any]) -> AlarmSource:
    """The alarm of a source that settings describe.

    Raises:
        ActionFailed: There is no such source, or the settings are wrong.
    """
    kind = kind_of(source)
    if kind is None:
        raise ActionFailed(
            f"no source of alarms '{source}' is installed here",
            hint="install the package that brings it, where the pipeline runs",
        )
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ActionFailed(f"alarm {where}: {first['msg']}".replace(" : ", ": ")) from (
            error
        )


def kind_of(source: str) -> type[AlarmSource] | None:
    """The class of a source's alarms, ours or another package's."""
    module = f"prefect_delivery.tasks.alarms.{source.replace('-', '_')}"
    if source.replace("-", "").isalnum() and importlib.util.find_spec(module):
        for value in vars(importlib.import_module(module)).values():
            if is_alarm(value) and value.__module__ == module:
                kind: type[AlarmSource] = value
                return kind
    point = installed(ALARMS_GROUP).get(source)
    found = point.load() if point else None
    return found if is_alarm(found) else None


def is_alarm(value: object) -> bool:
    """Whether a value is the class of a source's alarms."""
    return (
        isinstance(value, type)
        and issubclass(value, AlarmSource)
        and value is not AlarmSource
    )
