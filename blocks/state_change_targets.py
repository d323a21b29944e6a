"""Where state changes go in AWS: a bus of EventBridge, a topic of SNS."""

import json
from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC
from typing import Any, ClassVar

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from pydantic import Field, field_validator

from prefect_delivery.blocks.aws_session import AwsSession, aws_session
from prefect_delivery.errors import ActionFailed
from prefect_delivery.state_changes import StateChange

Data = dict[str, Any]


class StateChangeTarget(Block):
    """Takes state changes as CodePipeline tells them."""

    _logo_url: ClassVar[Any] = AwsCredentials._logo_url

    credentials: str | None = Field(
        default=None,
        description="Name of an AwsCredentials block; by default the worker's own.",
    )
    role_arn: str | None = Field(
        default=None, description="Role to take on, in this or another account."
    )
    region: str | None = Field(
        default=None, description="By default that of the block, or of the worker."
    )
    source: str = Field(
        default="prefect-delivery",
        min_length=1,
        description="Source of the events; AWS keeps `aws.codepipeline` to itself.",
    )

    @field_validator("source")
    @classmethod
    def _is_not_of_aws(cls, value: str) -> str:
        if value.startswith("aws."):
            raise ValueError("a source that begins with 'aws.' is for AWS only")
        return value

    def publish(self, changes: Sequence[StateChange]) -> None:
        """Tell of changes, in their order.

        Raises:
            ActionFailed: AWS has not taken them all.
        """
        with aws_session(self.credentials, self.role_arn, self.region) as aws:
            account = aws.account
            self._send(aws, [self._event(each, aws, account) for each in changes])

    @abstractmethod
    def _send(self, aws: AwsSession, events: list[Data]) -> None: ...

    def _event(self, change: StateChange, aws: AwsSession, account: str) -> Data:
        """A change as EventBridge hands it on."""
        arn = f"arn:aws:codepipeline:{aws.region}:{account}:{change.pipeline}"
        time = change.occurred.astimezone(UTC).isoformat(timespec="seconds")
        detail = dict(change.detail)
        if "action" in detail:
            detail.setdefault("region", aws.region)
        return {
            "version": "0",
            "id": change.id,
            "detail-type": change.kind,
            "source": self.source,
            "account": account,
            "time": time.replace("+00:00", "Z"),
            "region": aws.region,
            "resources": [arn],
            "detail": detail,
        }


class EventBridgeBus(StateChangeTarget):
    """A bus of EventBridge, whose rules find the events of executions.

    Example:
        Save a bus, and load it again:
        ```python
        from prefect_delivery.blocks.state_change_targets import EventBridgeBus

        EventBridgeBus(bus="deliveries", region="eu-west-1").save("team", overwrite=True)
        target = EventBridgeBus.load("team")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery EventBridge Bus"
    _block_type_slug: ClassVar[str | None] = "delivery-event-bridge-bus"
    _description: ClassVar[str | None] = "Tell a bus of EventBridge of executions."

    bus: str = Field(default="default", description="Name or ARN of the bus.")

    def _send(self, aws: AwsSession, events: list[Data]) -> None:
        entries = [
            {
                "Time": each["time"],
                "Source": each["source"],
                "Resources": each["resources"],
                "DetailType": each["detail-type"],
                "Detail": json.dumps(each["detail"]),
                "EventBusName": self.bus,
            }
            for each in events
        ]
        answer = aws.client("events").put_events(Entries=entries)
        for entry in answer["Entries"]:
            if code := entry.get("ErrorCode"):
                raise ActionFailed(f"EventBridge refuses an event: {code}")


class SnsTopic(StateChangeTarget):
    """A topic of SNS, whose subscribers get the events of executions as JSON.

    Example:
        Save a topic, and load it again:
        ```python
        from prefect_delivery.blocks.state_change_targets import SnsTopic

        arn = "arn:aws:sns:eu-west-1:111122223333:deliveries"
        SnsTopic(topic_arn=arn, region="eu-west-1").save("team", overwrite=True)
        target = SnsTopic.load("team")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Delivery SNS Topic"
    _block_type_slug: ClassVar[str | None] = "delivery-sns-topic"
    _description: ClassVar[str | None] = "Tell a topic of SNS of executions."

    topic_arn: str = Field(description="ARN of the topic.")

    def _send(self, aws: AwsSession, events: list[Data]) -> None:
        client = aws.client("sns")
        for event in events:
            ordered = {
                "MessageGroupId": event["detail"]["pipeline"],
                "MessageDeduplicationId": event["id"],
            }
            client.publish(
                TopicArn=self.topic_arn,
                Message=json.dumps(event),
                **(ordered if self.topic_arn.endswith(".fifo") else {}),
            )
