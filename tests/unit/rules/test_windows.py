"""When windows are open: by table, over changes of the clocks, and against a model."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.rules.deployment_window import look
from prefect_delivery.tasks.rules.windows import Window, next_time

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Window(cron="0 9 * * MON-FRI", duration=8 * 60)
OFFICE_BY_MINUTE = Window(cron="* 9-16 * * MON-FRI")
HOLIDAYS = Window(cron="0 0 24 12 *", duration=3 * 24 * 60)
NIGHT = Window(cron="30 2 * * *", duration=60)


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize("window", [OFFICE, OFFICE_BY_MINUTE])
@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-03-02T09:00", "2026-03-02T09:00"),
        ("2026-03-02T16:59:59", "2026-03-02T16:59:59"),
        ("2026-03-02T17:00", "2026-03-03T09:00"),
        ("2026-03-02T08:59:59.5", "2026-03-02T09:00"),
        ("2026-03-06T18:00", "2026-03-09T09:00"),
    ],
)
def test_office_hours(window: Window, now: str, then: str) -> None:
    assert next_time([window], [], BERLIN, berlin(now)) == berlin(then)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-12-23T23:59", "2026-12-23T23:59"),
        ("2026-12-24T00:00", "2026-12-27T00:00"),
        ("2026-12-26T23:59", "2026-12-27T00:00"),
        ("2026-12-27T00:00", "2026-12-27T00:00"),
    ],
)
def test_without_a_window_that_allows_all_but_the_denied_is_open(
    now: str, then: str
) -> None:
    assert next_time([], [HOLIDAYS], BERLIN, berlin(now)) == berlin(then)


def test_what_is_allowed_and_denied_waits_for_the_next_that_is_not() -> None:
    now = berlin("2026-12-24T10:00")

    assert next_time([OFFICE], [HOLIDAYS], BERLIN, now) == berlin("2026-12-28T09:00")


@pytest.mark.parametrize(
    ("now", "open_now"),
    [
        (berlin("2026-03-29T03:00"), True),
        (berlin("2026-03-29T03:59"), True),
        (berlin("2026-03-29T01:59"), False),
        (berlin("2026-03-29T04:00"), False),
    ],
    ids=["at 3", "until 4", "not before", "not after"],
)
def test_in_spring_it_opens_after_the_hour_that_is_left_out(
    now: datetime, open_now: bool
) -> None:
    moment = now.astimezone(UTC)  # Python calls times in two zones unequal here

    assert (next_time([NIGHT], [], BERLIN, now) == moment) is open_now


@pytest.mark.parametrize(
    ("now", "open_now"),
    [
        (berlin("2026-10-25T02:29"), False),
        (berlin("2026-10-25T02:30"), True),
        (berlin("2026-10-25T02:29", fold=1), True),
        (berlin("2026-10-25T02:30", fold=1), False),
        (berlin("2026-10-25T03:00"), False),
    ],
    ids=["before", "first pass", "still an hour", "second pass", "after"],
)
def test_in_autumn_it_opens_once_for_its_real_length(
    now: datetime, open_now: bool
) -> None:
    moment = now.astimezone(UTC)  # Python calls times in two zones unequal here

    assert (next_time([NIGHT], [], BERLIN, now) == moment) is open_now


@given(
    st.datetimes(datetime(2026, 3, 26), datetime(2026, 4, 1), timezones=st.just(UTC))
    | st.datetimes(
        datetime(2026, 10, 22), datetime(2026, 10, 28), timezones=st.just(UTC)
    ),
    st.integers(0, 23),
    st.integers(1, 60 * 30),
)
@settings(max_examples=200, deadline=None)
def test_the_answer_is_the_first_open_minute(
    now: datetime, hour: int, minutes: int
) -> None:
    """Hours at which no clock changes, where cron means the same to everybody."""
    hour = hour if hour != 2 else 4
    window = Window(cron=f"0 {hour} * * *", duration=minutes)

    then = next_time([window], [], BERLIN, now)

    openings = [
        datetime(2026, month, day, hour, tzinfo=BERLIN).astimezone(UTC)
        for month, days in ((3, range(20, 32)), (4, range(1, 5)), (10, range(15, 31)))
        for day in days
    ]
    length = timedelta(minutes=minutes)
    is_open = any(opens <= now < opens + length for opens in openings)
    assert then == (now if is_open else min(o for o in openings if o > now))


def test_a_closed_window_says_when_it_opens() -> None:
    found = look([OFFICE], [], "Europe/Berlin", berlin("2026-03-06T18:00"))

    assert found.again == berlin("2026-03-09T09:00")
    assert found.summary == "opens Mon 09 Mar 09:00 CET"


@pytest.mark.parametrize(
    ("allow", "deny", "zone", "said"),
    [
        ([], [], "UTC", "give a window"),
        ([OFFICE], [], "Europe/Berln", "no time zone 'Europe/Berln'"),
        ([Window(cron="61 * * * *")], [], "UTC", "bad minute"),
        ([Window(cron="* * *")], [], "UTC", "must have five fields"),
        ([Window(cron="0 0 30 2 *")], [], "UTC", "bad day-of-month|ever opens"),
    ],
)
def test_wrong_windows_fail(
    allow: list[Window], deny: list[Window], zone: str, said: str
) -> None:
    with pytest.raises(ActionFailed, match=said):
        look(allow, deny, zone, datetime(2026, 1, 1, tzinfo=UTC))


def test_minutes_denied_for_very_long_are_asked_again() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    found = look([], [Window(cron="* * * * *")], "UTC", now)

    assert found.again is not None and found.again > now + timedelta(hours=24)
