"""What a rule makes of an alarm, by table; and how definitions name alarms."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefect_delivery.actions import Job
from prefect_delivery.definition import load
from prefect_delivery.errors import ActionFailed, DefinitionError
from prefect_delivery.tasks.alarms.source import Reading, State
from prefect_delivery.tasks.rules.alarm import GOOD, alarm_of, judged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def answer(
    when: str, state: State, left: timedelta, good: tuple[State, ...] | None = None
) -> str:
    """`holds`, `fails`, or after how long the rule asks again."""
    reading = Reading(state, "errors")
    try:
        found = judged(
            reading,
            when,
            good or GOOD[when],
            now=NOW,
            ends=NOW + left,
            interval=3 * MINUTE,
        )
    except ActionFailed:
        return "fails"
    return f"in {found.again - NOW}" if found.again else "holds"


@pytest.mark.parametrize(
    ("when", "state", "early", "late"),
    [
        ("before_entry", "OK", "holds", "holds"),
        ("before_entry", "ALARM", "in 0:03:00", "fails"),
        ("before_entry", "INSUFFICIENT_DATA", "in 0:03:00", "fails"),
        ("on_success", "OK", "in 0:03:00", "holds"),
        ("on_success", "INSUFFICIENT_DATA", "in 0:03:00", "holds"),
        ("on_success", "ALARM", "fails", "fails"),
        ("on_failure", "ALARM", "holds", "holds"),
        ("on_failure", "OK", "in 0:03:00", "fails"),
        ("on_failure", "INSUFFICIENT_DATA", "in 0:03:00", "fails"),
    ],
)
def test_an_alarm_is_judged_by_where_it_is_asked(
    when: str, state: State, early: str, late: str
) -> None:
    assert answer(when, state, 5 * MINUTE) == early
    assert answer(when, state, timedelta()) == late


def test_silence_passes_nowhere_when_only_ok_is_good() -> None:
    assert answer("on_success", "INSUFFICIENT_DATA", MINUTE, ("OK",)) == "in 0:01:00"
    assert answer("on_success", "INSUFFICIENT_DATA", timedelta(), ("OK",)) == "fails"


@pytest.mark.parametrize(
    ("key", "condition"),
    [
        ("", None),
        ("e1/Deploy/web/1", None),
        ("e1/Deploy/before_entry:errors/2", "before_entry"),
    ],
)
def test_a_rule_knows_where_it_is_asked(key: str, condition: str | None) -> None:
    assert Job(key=key).condition == condition


@pytest.mark.parametrize("source", ["nagios", "source", "../rules", ""])
def test_an_unknown_source_is_refused(source: str) -> None:
    with pytest.raises(ActionFailed, match="no source of alarms"):
        alarm_of(source, {})


DEFINITION = """
pipeline: shop
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "."}}
  Build:
    actions:
      unit: {uses: test/commands, with: {commands: ["true"]}}
    on_success:
      rules:
        errors:
          uses: rule/alarm
          with:
            source: SOURCE
            alarm: ALARM
"""


@pytest.mark.parametrize(
    ("source", "alarm", "said"),
    [
        ("promethius", "{}", "unknown source of alarms.*did you mean 'prometheus'"),
        ("prometheus", '{server: "http://p", allert: x}', "unknown key 'allert'"),
        ("prometheus", "{alert: x}", "'server' is missing"),
    ],
)
def test_a_wrong_alarm_is_named_at_its_place(
    source: str, alarm: str, said: str
) -> None:
    with pytest.raises(DefinitionError, match=said):
        load(DEFINITION.replace("SOURCE", source).replace("ALARM", alarm))


@pytest.mark.parametrize(
    "alarm", [{}, {"alert": "x", "query": "y"}, {"query": "y", "operator": "GT"}]
)
def test_an_alarm_is_an_alert_or_a_compared_query(alarm: dict[str, Any]) -> None:
    with pytest.raises(ActionFailed, match="give 'alert', or 'query'"):
        alarm_of("prometheus", {"server": "http://p", **alarm})
