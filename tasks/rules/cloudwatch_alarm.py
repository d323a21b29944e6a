"""Ask an alarm of Amazon CloudWatch whether a stage may go on."""

from prefect_delivery.actions import Job, Outputs, action
from prefect_delivery.tasks.alarms.source import State
from prefect_delivery.tasks.rules.alarm import Watch, watch_alarm
from prefect_delivery.tasks.rules.patience import Interval


@action(
    "rule/cloudwatch-alarm",
    permissions=("cloudwatch:DescribeAlarms",),
)
def watch_cloudwatch_alarm(
    alarm_name: str,
    *,
    alarm_states: list[State] = [],
    wait_time: Watch = 0,
    interval: Interval = 30,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Watch an alarm of CloudWatch; `rule/alarm` says when it holds.

    Args:
        alarm_name: Name of a metric alarm or a composite alarm.
        alarm_states: States that hold, instead of those of `rule/alarm`.
        wait_time: Minutes to watch.
        interval: Seconds until the alarm is looked at again.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the alarm.

    Raises:
        ActionFailed: The alarm does not stand as it should, or there is no such alarm.

    Source: CodePipeline user guide, "CloudWatchAlarm".
    """
    place = {"credentials": credentials, "role_arn": role_arn, "region": region}
    return watch_alarm.fn(
        "cloudwatch",
        {"name": alarm_name, **place},
        states=alarm_states,
        wait=wait_time,
        interval=interval,
        job=job,
    )
