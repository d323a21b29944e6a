"""Quartz's cron, as CodePipeline writes it, told in plain cron and a test of days.

Six or seven fields: seconds, minutes, hours, day of month, month, day of week, and
perhaps year; days of the week count from 1 for Sunday; ranges may run over the end.
Source: Quartz, "CronTrigger Tutorial".
"""

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from prefect_delivery.errors import ActionFailed

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = (
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN"),
    *("JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
)
ANY = {"*", "?"}

DayTest = Callable[[date], bool]


@dataclass(frozen=True)
class Quartz:
    """An expression: five fields of plain cron with any day, and the days that count.

    Attributes:
        last_year: After which nothing comes any more; None for never.
    """

    plain: str
    counts: DayTest
    last_year: int | None


def is_quartz(cron: str) -> bool:
    """Whether an expression has a field for seconds."""
    return len(cron.split()) in {6, 7}


def quartz(cron: str) -> Quartz:
    """Read an expression.

    Raises:
        ActionFailed: It is wrong, or names single seconds.
    """
    fields = cron.upper().split()
    second, minute, hour, day, month, weekday = fields[:6]
    if second not in {"0", "*"}:
        raise ActionFailed(f"cron '{cron}': a window opens with a minute; seconds: 0")
    if day not in ANY and weekday not in ANY:
        raise ActionFailed(f"cron '{cron}': of the two days, one must be '?'")
    try:
        minutes, hours = _numbers(minute, 0, 59), _numbers(hour, 0, 23)
        months = _numbers(month, 1, 12, MONTHS)
        years = (
            _numbers(fields[6], 1970, 2199) if fields[6:] not in ([], ["*"]) else None
        )
        in_month, in_week = _month_days(day), _week_days(weekday)
    except ValueError as error:
        raise ActionFailed(f"cron '{cron}': {error}") from error
    plain = " ".join([_list(minutes), _list(hours), "*", _list(months), "*"])

    def counts(each: date) -> bool:
        return (
            (years is None or each.year in years) and in_month(each) and in_week(each)
        )

    return Quartz(plain, counts, max(years) if years else None)


def _list(numbers: set[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))


def _numbers(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> set[int]:
    return {n for part in field.split(",") for n in _part(part, low, high, names)}


def _part(part: str, low: int, high: int, names: tuple[str, ...]) -> Iterator[int]:
    """Numbers of one part: `*`, `5`, `MON-FRI`, `22-2`, `0/15`, `8-18/2`."""
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    every = _number(step, 1, high, ()) if slash else 1
    if span in ANY:
        start, end = low, high
    else:
        start = _number(first, low, high, names)
        end = _number(last, low, high, names) if dash else high if slash else start
    if end < start:  # over the end: from Friday to Monday
        end += high - low + 1
    for number in range(start, end + 1, every):
        yield low + (number - low) % (high - low + 1)


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + low
    if not re.fullmatch(r"[0-9]{1,4}", text) or not low <= int(text) <= high:
        raise ValueError(f"'{text}' is not from {low} to {high}")
    return int(text)


def _month_days(field: str) -> DayTest:
    """Which days of a month: numbers, `L`, `L-3`, `LW`, `L-3W`, `15W`."""
    tests = [_month_day(part) for part in field.split(",")]
    return lambda each: any(test(each) for test in tests)


def _month_day(part: str) -> DayTest:
    if found := re.fullmatch(r"L(?:-(\d{1,2}))?(W?)", part):
        back = _number(found[1], 1, 30, ()) if found[1] else 0
        working = bool(found[2])

        def is_last(each: date) -> bool:
            day = _length(each) - back
            return day >= 1 and each.day == (_working(each, day) if working else day)

        return is_last
    if found := re.fullmatch(r"(\d{1,2})W", part):
        near = _number(found[1], 1, 31, ())
        return lambda each: near <= _length(each) and each.day == _working(each, near)
    days = set(_part(part, 1, 31, ()))
    return lambda each: each.day in days


def _week_days(field: str) -> DayTest:
    """Which days of the week: numbers, names, `L`, `6L`, `FRIL`, `6#3`."""
    tests = [_week_day(part) for part in field.split(",")]
    return lambda each: any(test(each) for test in tests)


def _week_day(part: str) -> DayTest:
    if part == "L":
        part = "SAT"
    if found := re.fullmatch(r"(\w+)L", part):
        last = _number(found[1], 1, 7, DAYS)
        return lambda each: _weekday(each) == last and each.day > _length(each) - 7
    if found := re.fullmatch(r"(\w+)#(\d)", part):
        day, nth = _number(found[1], 1, 7, DAYS), _number(found[2], 1, 5, ())
        return lambda each: _weekday(each) == day and (each.day - 1) // 7 + 1 == nth
    days = set(_part(part, 1, 7, DAYS))
    return lambda each: _weekday(each) in days


def _weekday(each: date) -> int:
    return each.isoweekday() % 7 + 1


def _length(each: date) -> int:
    return calendar.monthrange(each.year, each.month)[1]


def _working(each: date, day: int) -> int:
    """The day from Monday to Friday that is nearest to a day, in the same month."""
    weekday = each.replace(day=day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < _length(each) else day - 2
    return day
