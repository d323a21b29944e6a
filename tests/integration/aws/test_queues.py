"""Changes that AWS tells of by a queue start pipelines, each change one execution."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery import queues
from prefect_delivery.definition import load
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Ledger

Client = Callable[[str], Any]
PIPELINE = """
pipeline: shop
on: {push: {}}
stages:
  Source:
    actions:
      app: {uses: source/s3, with: {s3_bucket: exchange, s3_object_key: app.zip}}
  Build:
    actions:
      make: {uses: build/commands, with: {commands: ["true"]}}
"""


@pytest.fixture
def ledger(home: Path) -> Ledger:
    """One in which the pipeline is deployed."""
    opened = Ledger.open()
    opened.deployments.note(
        load(PIPELINE),
        deployment="00000000-0000-0000-0000-000000000000",
        origin="there",
        file="delivery.yaml",
        settings={},
        by="ann",
    )
    return opened


@pytest.fixture
def queue(bucket: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a queue that hears of the bucket, by itself and by EventBridge."""
    monkeypatch.setattr(queues, "WAIT", 0)
    sqs, s3, events = client("sqs"), client("s3"), client("events")
    attributes = {"VisibilityTimeout": "0"}
    url = sqs.create_queue(QueueName="changes", Attributes=attributes)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="changes", Targets=[{"Id": "1", "Arn": arn}])
    direct = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "EventBridgeConfiguration": {},
            "QueueConfigurations": direct,
        },
    )
    sqs.purge_queue(QueueUrl=url)
    return str(url)


def take(ledger: Ledger, queue: str) -> list[str]:
    """What was said of the messages that wait."""
    said: list[str] = []
    while queues.take_from(ledger, queue, say=said.append, hand_over=lambda *_: None):
        if any("stays" in line for line in said):
            break
    return said


def waiting(client: Client, queue: str) -> int:
    return len(client("sqs").receive_message(QueueUrl=queue).get("Messages", []))


def test_a_new_object_starts_one_execution_however_often_it_is_told_of(
    ledger: Ledger, queue: str, bucket: str, client: Client
) -> None:
    s3 = client("s3")

    version = s3.put_object(Bucket=bucket, Key="app.zip", Body=b"1")["VersionId"]
    said = take(ledger, queue)

    (execution,) = ledger.executions.list()
    assert execution.revisions == {"app": version}
    assert len(said) == 2
    assert "shop #1 started" in said[0]
    assert "was started before" in said[1]
    assert waiting(client, queue) == 0


def test_each_change_starts_an_execution(
    ledger: Ledger, queue: str, bucket: str, client: Client
) -> None:
    for body in (b"1", b"2"):
        client("s3").put_object(Bucket=bucket, Key="app.zip", Body=body)
        take(ledger, queue)

    assert len(ledger.executions.list()) == 2


def test_what_no_pipeline_watches_starts_nothing(
    ledger: Ledger, queue: str, bucket: str, client: Client
) -> None:
    client("s3").put_object(Bucket=bucket, Key="other.zip", Body=b"1")
    client("sqs").send_message(QueueUrl=queue, MessageBody="hello")

    said = take(ledger, queue)

    assert all("no pipeline is watching that" in line for line in said)
    assert ledger.executions.list() == []
    assert waiting(client, queue) == 0


def test_a_message_stays_until_what_it_tells_of_is_recorded(
    ledger: Ledger,
    queue: str,
    bucket: str,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(*_: object) -> dict[str, str]:
        raise ActionFailed("the bucket cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(queues, "look_at", unreadable)
        client("s3").put_object(Bucket=bucket, Key="app.zip", Body=b"1")
        said = take(ledger, queue)
    assert all("stays: the bucket cannot be read" in line for line in said)
    assert ledger.executions.list() == []

    take(ledger, queue)

    assert len(ledger.executions.list()) == 1


def test_a_message_that_is_not_deleted_starts_nothing_again(
    ledger: Ledger, queue: str, bucket: str, client: Client
) -> None:
    client("s3").put_object(Bucket=bucket, Key="app.zip", Body=b"1")
    told = client("sqs").receive_message(QueueUrl=queue)["Messages"][0]["Body"]
    take(ledger, queue)
    client("sqs").send_message(QueueUrl=queue, MessageBody=told)

    (said,) = take(ledger, queue)

    assert "was started before" in said
    assert len(ledger.executions.list()) == 1


def test_a_queue_that_is_not_there_is_said(ledger: Ledger, cloud: None) -> None:
    missing = "http://127.0.0.1:1/123456789012/missing"

    with pytest.raises(ActionFailed):
        queues.take_from(ledger, missing, hand_over=lambda *_: None)
