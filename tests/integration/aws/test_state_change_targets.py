"""What a bus and a topic are told, as a queue behind each of them hears it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from prefect_delivery.blocks.state_change_targets import (
    EventBridgeBus,
    SnsTopic,
    StateChangeTarget,
)
from prefect_delivery.channels import BlockChannel, unsent
from prefect_delivery.definition import load
from prefect_delivery.errors import ActionFailed
from prefect_delivery.events import Event
from prefect_delivery.happened import VERBS, Known, events_of
from prefect_delivery.ledger import Ledger

Client = Callable[[str], Any]
DEFINITION = """
pipeline: shop
notifications: [{to: delivery-sns-topic/team, on: ["pipeline.*"]}]
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: https://git.example/shop}}
  Build:
    actions:
      make: {uses: build/commands, inputs: app, with: {commands: ["make"]}}
"""


@pytest.fixture
def started(cloud: None, home: Any) -> Event:
    """The event of an execution that was started in a ledger."""
    with Ledger.open() as ledger:
        execution = ledger.executions.start(
            load(DEFINITION), variables={}, trigger="manual", started_by="ann"
        )
        entries, _ = ledger.outbox.entries(0, limit=10, verbs=VERBS)
    (event,) = (
        event
        for entry in entries
        for event in events_of(entry, Known(execution=execution))
    )
    return event


@pytest.fixture
def queue(cloud: None, client: Client) -> str:
    """URL of an empty queue."""
    return str(client("sqs").create_queue(QueueName="heard")["QueueUrl"])


def arn(client: Client, queue: str) -> str:
    names = ["QueueArn"]
    found = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    return str(found["Attributes"]["QueueArn"])


def send(block: StateChangeTarget, *events: Event) -> None:
    channel = BlockChannel("delivery-sns-topic/team")
    channel._block = block
    asyncio.run(channel.send(events))


def heard(client: Client, queue: str) -> list[dict[str, Any]]:
    found = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    return [json.loads(each["Body"]) for each in found.get("Messages", [])]


def test_a_rule_of_the_bus_finds_an_event(
    client: Client, queue: str, started: Event
) -> None:
    events = client("events")
    events.create_event_bus(Name="deliveries")
    pattern = {
        "source": ["prefect-delivery"],
        "detail-type": ["CodePipeline Pipeline Execution State Change"],
        "detail": {"state": ["STARTED"], "pipeline": ["shop"]},
    }
    events.put_rule(
        Name="all", EventBusName="deliveries", EventPattern=json.dumps(pattern)
    )
    target = {"Id": "1", "Arn": arn(client, queue)}
    events.put_targets(Rule="all", EventBusName="deliveries", Targets=[target])

    send(EventBridgeBus(bus="deliveries"), started, replace(started, name="x.y"))

    (told,) = heard(client, queue)
    assert told["detail"]["state"] == "STARTED"
    assert told["resources"] == ["arn:aws:codepipeline:eu-west-1:123456789012:shop"]


def test_a_subscriber_of_the_topic_gets_an_event(
    client: Client, queue: str, started: Event
) -> None:
    topic = client("sns").create_topic(Name="deliveries")["TopicArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(client, queue))

    send(SnsTopic(topic_arn=topic), started)

    (told,) = heard(client, queue)
    said = json.loads(told["Message"])
    assert said["detail-type"] == "CodePipeline Pipeline Execution State Change"
    assert said["id"] == str(started.id)
    assert said["source"] == "prefect-delivery"
    assert said["detail"]["execution-id"] == started.payload.execution


def test_an_ordered_topic_gets_an_event_once(
    client: Client, queue: str, started: Event
) -> None:
    attributes = {"FifoTopic": "true"}
    topic = client("sns").create_topic(Name="ordered.fifo", Attributes=attributes)
    made = client("sqs").create_queue(
        QueueName="ordered.fifo", Attributes={"FifoQueue": "true"}
    )["QueueUrl"]
    client("sns").subscribe(
        TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=arn(client, made)
    )

    send(SnsTopic(topic_arn=topic["TopicArn"]), started)
    send(SnsTopic(topic_arn=topic["TopicArn"]), replace(started, id=UUID(int=1)))
    send(SnsTopic(topic_arn=topic["TopicArn"]), started)

    assert len(heard(client, made)) == 2


def test_a_topic_that_is_not_there_is_told_again_later(started: Event) -> None:
    missing = "arn:aws:sns:eu-west-1:123456789012:missing"

    with pytest.raises(ActionFailed) as failed:
        send(SnsTopic(topic_arn=missing), started)

    assert "NotFound" in unsent(failed.value).message
    assert not unsent(failed.value).refused


def test_a_source_of_aws_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        EventBridgeBus(source="aws.codepipeline")
