"""Quartz's cron by the examples of its documentation; freezes; days that are odd."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.rules.deployment_window import look
from prefect_delivery.tasks.rules.windows import Freeze, Window

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("cron", "after", "opens"),
    [
        ("0 0 12 * * ?", "2026-01-01T12:00", "2026-01-02T12:00"),
        ("0 15 10 ? * MON-FRI", "2026-01-02T11:00", "2026-01-05T10:15"),
        ("0 15 10 ? * 2-6 *", "2026-01-02T11:00", "2026-01-05T10:15"),
        ("0 0/15 14 * * ?", "2026-01-01T14:20", "2026-01-01T14:30"),
        ("0 15 10 L * ?", "2026-02-01T00:00", "2026-02-28T10:15"),
        ("0 15 10 L-3 * ?", "2026-02-01T00:00", "2026-02-25T10:15"),
        ("0 15 10 LW * ?", "2026-02-01T00:00", "2026-02-27T10:15"),
        ("0 15 10 15W * ?", "2026-02-01T00:00", "2026-02-16T10:15"),
        ("0 15 10 1W * ?", "2026-08-01T00:00", "2026-08-03T10:15"),
        ("0 15 10 31W * ?", "2026-05-02T00:00", "2026-05-29T10:15"),
        ("0 15 10 ? * 6L", "2026-02-01T00:00", "2026-02-27T10:15"),
        ("0 15 10 ? * FRIL", "2026-02-01T00:00", "2026-02-27T10:15"),
        ("0 15 10 ? * 6#3", "2026-02-01T00:00", "2026-02-20T10:15"),
        ("0 15 10 ? * L", "2026-02-01T00:00", "2026-02-07T10:15"),
        ("0 15 10 ? * FRI-MON", "2026-02-02T11:00", "2026-02-06T10:15"),
        ("0 0 22-2 * * ?", "2026-02-02T03:00", "2026-02-02T22:00"),
        ("0 0 9 29 2 ?", "2026-03-01T00:00", "2028-02-29T09:00"),
        ("0 0 9 1 1 ? 2029", "2026-03-01T00:00", "2029-01-01T09:00"),
        ("* * * ? * * *", "2026-03-01T00:00", "2026-03-01T00:01"),
    ],
)
def test_quartz(cron: str, after: str, opens: str) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)

    found = Window(cron=cron).opening(start, UTC)

    assert found == datetime.fromisoformat(opens).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "cron",
    [
        "5 0 9 * * ?",
        "0 60 9 * * ?",
        "0 0 9 1 * MON",
        "0 0 9 ? * 8",
        "0 0 9 ? * 6#6",
        "0 0 9 40W * ?",
        "0 0/0 9 * * ?",
        "0 0 9 * FOO ?",
    ],
)
def test_wrong_quartz_is_refused(cron: str) -> None:
    with pytest.raises(ActionFailed, match="cron"):
        Window(cron=cron).opening(datetime(2026, 1, 1, tzinfo=UTC), UTC)


def test_a_year_that_is_over_never_comes() -> None:
    window = Window(cron="0 0 9 1 1 ? 2025")

    assert window.opening(datetime(2026, 1, 1, tzinfo=UTC), UTC) is None


def test_quartz_in_the_hour_that_the_clocks_leave_out_opens_after_it() -> None:
    window = Window(cron="0 30 2 * * ?")

    found = window.opening(datetime(2026, 3, 29, 0, 0, tzinfo=UTC), BERLIN)

    assert found == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


HOLIDAY = Freeze(start="2026-12-20", end="2027-01-02T06:00", reason="holiday")


def test_a_freeze_says_why_and_until_when() -> None:
    now = datetime(2026, 12, 24, 12, tzinfo=UTC)

    found = look([], [], "Europe/Berlin", now, [HOLIDAY])

    assert found.again == datetime(2027, 1, 2, 5, tzinfo=UTC)
    assert found.summary == "frozen until Sat 02 Jan 06:00 CET: holiday"


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        (datetime(2026, 12, 19, 22, 59, tzinfo=UTC), False),
        (datetime(2026, 12, 19, 23, 0, tzinfo=UTC), True),
        (datetime(2027, 1, 2, 4, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 2, 5, 0, tzinfo=UTC), False),
    ],
)
def test_a_freeze_begins_and_ends_by_the_clock_of_its_zone(
    now: datetime, frozen: bool
) -> None:
    found = look([], [], "Europe/Berlin", now, [HOLIDAY])

    assert (found.again is not None) is frozen


def test_a_freeze_that_ends_in_an_hour_that_comes_twice_ends_with_the_second() -> None:
    freeze = Freeze(start="2026-10-24", end="2026-10-25T02:30", reason="clocks")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    found = look([], [], "Europe/Berlin", first, [freeze])

    assert found.again == first + timedelta(hours=1)


@pytest.mark.parametrize(
    ("start", "end"), [("2026-02-30", "2026-03-02"), ("2026-03-02", "2026-03-01")]
)
def test_a_wrong_freeze_fails(start: str, end: str) -> None:
    freeze = Freeze(start=start, end=end, reason="holiday")

    with pytest.raises(ActionFailed, match="freeze 'holiday'"):
        look([], [], "UTC", datetime(2026, 1, 1, tzinfo=UTC), [freeze])
