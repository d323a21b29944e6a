"""Alarms of CloudWatch, as moto keeps them."""

from collections.abc import Callable
from typing import Any

import pytest

from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.tasks.rules.cloudwatch_alarm import watch_cloudwatch_alarm

Alarm = Callable[[str], None]


@pytest.fixture
def alarm(cloud: None, client: Callable[[str], Any]) -> Alarm:
    """An alarm `errors`; puts it into a state."""
    cloudwatch = client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        MetricName="Errors",
        Namespace="shop",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )

    def put(state: str) -> None:
        cloudwatch.set_alarm_state(
            AlarmName="errors", StateValue=state, StateReason="3 errors"
        )

    return put


def test_an_alarm_that_is_ok_lets_a_stage_be_entered(alarm: Alarm) -> None:
    alarm("OK")

    made = watch_cloudwatch_alarm.fn("errors", job=Job())

    assert made.again is None
    assert "errors: 3 errors" in (made.summary or "")


def test_after_a_success_an_alarm_fails_at_once(alarm: Alarm) -> None:
    alarm("ALARM")
    job = Job(key="e1/Prod/on_success:alarm/1")

    with pytest.raises(ActionFailed, match="errors: 3 errors"):
        watch_cloudwatch_alarm.fn("errors", wait_time=5, job=job)


def test_states_that_hold_can_be_named(alarm: Alarm) -> None:
    alarm("ALARM")

    made = watch_cloudwatch_alarm.fn("errors", alarm_states=["ALARM"], job=Job())

    assert made.again is None


def test_it_waits_for_an_alarm_to_end(alarm: Alarm) -> None:
    alarm("ALARM")

    made = watch_cloudwatch_alarm.fn("errors", wait_time=5, job=Job())

    assert made.again is not None


def test_an_alarm_that_is_missing_fails_the_rule(alarm: Alarm) -> None:
    with pytest.raises(ActionFailed, match="no alarm 'none'"):
        watch_cloudwatch_alarm.fn("none", wait_time=5, job=Job())


def test_without_an_answer_there_is_no_data(
    alarm: Alarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(ActionFailed, match="CloudWatch: Could not connect"):
        watch_cloudwatch_alarm.fn("errors", job=Job())
