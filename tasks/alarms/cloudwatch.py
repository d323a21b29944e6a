"""Alarms of Amazon CloudWatch, single and composite ones."""

from pydantic import Field

from prefect_delivery.blocks.aws_session import NETWORK, aws_session
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.alarms.source import AlarmSource, Reading


class CloudWatchAlarm(AlarmSource):
    """An alarm of CloudWatch.

    Attributes:
        name: Name of the alarm.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the alarm.
    """

    name: str = Field(min_length=1, max_length=255, description="Name of the alarm.")
    credentials: str | None = Field(
        default=None, description="Name of an AwsCredentials block."
    )
    role_arn: str | None = Field(default=None, description="Role to take on.")
    region: str | None = Field(default=None, description="Region of the alarm.")

    def read(self) -> Reading:
        """How the alarm stands now."""
        with aws_session(self.credentials, self.role_arn, self.region) as aws:
            try:
                found = aws.client("cloudwatch").describe_alarms(
                    AlarmNames=[self.name],
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                )
            except NETWORK as error:
                return Reading("INSUFFICIENT_DATA", f"CloudWatch: {error}")
        alarms = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
        if not alarms:
            raise ActionFailed(f"CloudWatch has no alarm '{self.name}'")
        why = alarms[0].get("StateReason") or "no reason given"
        return Reading(alarms[0]["StateValue"], f"{self.name}: {why}")
