"""Changes that AWS tells of by a queue of SQS: of S3, CodeCommit and ECR.

A message is a hint: the source itself is asked, under the identity that its definition
names. A message is deleted when what it tells of is in the ledger, where the same change
counts once. So one that comes twice, or again after a crash, starts nothing new.

Source: EventBridge user guide, "Events from AWS services"; S3 user guide, "Event message
structure"; CodeCommit user guide, "Monitoring CodeCommit events".
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from prefect_delivery.blocks.aws_session import aws_session
from prefect_delivery.changes import OBJECT, Change, Started
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Ledger
from prefect_delivery.trigger_filters import WatchedSource, watched_sources
from prefect_delivery.triggers import HandOver, hand_over, incoming
from prefect_delivery.watched import look_at

Say = Callable[[str], None]
AT_ONCE: Final = 10
"""Messages that are received at once, which is the most that SQS gives."""
WAIT: Final = 5
"""Seconds that a look at an empty queue takes."""
_CREATED: Final = "ObjectCreated:"
_LOG = logging.getLogger("prefect_delivery.server")

Data = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What a message says has changed.

    Attributes:
        uses: The action that brings such sources.
        wanted: What the configuration of such an action has.
        ref: Of a repository, the ref that has changed.
    """

    uses: str
    wanted: dict[str, str]
    ref: str = OBJECT
    by: str = ""

    def means(self, source: WatchedSource) -> bool:
        """Whether a source may be the one."""
        given = {"image_tag": "latest", **source.with_}
        return source.uses == self.uses and all(
            # Without a region of its own, a source is where its worker is.
            given.get(key, value if key == "region" else None) == value
            for key, value in self.wanted.items()
        )


def take_from(
    ledger: Ledger,
    url: str,
    *,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    say: Say = _LOG.info,
    hand_over: HandOver = hand_over,
) -> int:
    """Carry out what waits in a queue, and delete it there.

    What cannot be carried out now stays, and comes again when its visibility timeout is
    over; the queue's redrive policy says how often.

    Args:
        url: URL of the queue.
        credentials: Name of an AwsCredentials block; with role and region as in actions.

    Returns:
        How many messages have come.

    Raises:
        ActionFailed: The queue cannot be read.
    """
    with aws_session(credentials, role_arn, region) as aws:
        client = aws.client("sqs")
        found = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=WAIT
        ).get("Messages", [])
        for message in found:
            try:
                said = carry_out(ledger, message["Body"], hand_over)
            except ActionFailed as error:
                say(f"message {message['MessageId']} stays: {error.message}")
                continue
            say(f"message {message['MessageId']}: {said}")
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return len(found)


def carry_out(ledger: Ledger, body: str, hand_over: HandOver) -> str:
    """Record what a message tells of.

    Returns:
        What became of it, in words.

    Raises:
        ActionFailed: A source cannot be read.
    """
    said: list[str] = []
    for hint in hints_of(body):
        sources: dict[str, WatchedSource] = {}
        for deployed in ledger.deployments.list():
            for source in watched_sources(deployed.definition):
                if hint.means(source):
                    sources.setdefault(source.address, source)
        for source in sources.values():
            said += _look(ledger, source, hint, hand_over)
    return "; ".join(said) or "no pipeline is watching that"


def _look(
    ledger: Ledger, source: WatchedSource, hint: Hint, hand_over: HandOver
) -> Iterator[str]:
    revision = look_at(source).get(hint.ref)
    if revision is None:
        yield f"{source.named} {hint.ref} is not there"
        return
    change = Change(
        kind="push",
        repository=source.named,
        ref=hint.ref,
        revision=revision,
        before=ledger.changes.seen(source.address).get(hint.ref),
        by=hint.by,
    )
    for outcome in incoming(ledger, change, hand_over=hand_over):
        if isinstance(outcome, Started):
            again = "was started before" if outcome.again else "started"
            yield f"{outcome.title} {again}"
        else:
            yield f"{outcome.pipeline}: {outcome.reason}"


def hints_of(body: str) -> list[Hint]:
    """What a message tells of; nothing where it is none of the known ones."""
    try:
        return [*_hints(json.loads(body))]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return []


def _hints(told: Data) -> Iterator[Hint]:
    if told.get("Type") == "Notification":  # by a topic of SNS
        yield from _hints(json.loads(told["Message"]))
        return
    for record in told.get("Records", []):
        yield from _of_record(record)
    kind = told.get("source"), told.get("detail-type")
    detail, region = told.get("detail", {}), told.get("region")
    match kind:
        case "aws.s3", "Object Created":
            yield _of_object(detail["bucket"]["name"], detail["object"]["key"])
        case "aws.s3", "AWS API Call via CloudTrail":
            asked = detail["requestParameters"]
            yield _of_object(asked["bucketName"], asked["key"])
        case "aws.codecommit", "CodeCommit Repository State Change":
            if detail["event"] in {"referenceCreated", "referenceUpdated"}:
                folder = "tags" if detail["referenceType"] == "tag" else "heads"
                ref = f"refs/{folder}/{detail['referenceName']}"
                by = detail.get("callerUserArn", "")
                yield _of_ref(detail["repositoryName"], ref, region, by)
        case "aws.ecr", "ECR Image Action":
            if (detail["action-type"], detail["result"]) == ("PUSH", "SUCCESS"):
                wanted = {
                    "repository_name": detail["repository-name"],
                    "image_tag": detail["image-tag"],
                }
                yield Hint(uses="source/ecr", wanted=_there(wanted, region))


def _of_record(record: Data) -> Iterator[Hint]:
    """What S3 or a trigger of CodeCommit says by itself, without EventBridge."""
    if record.get("eventSource") == "aws:s3":
        if record["eventName"].removeprefix("s3:").startswith(_CREATED):
            told = record["s3"]
            key = unquote_plus(told["object"]["key"])
            yield _of_object(told["bucket"]["name"], key)
    elif record.get("eventSource") == "aws:codecommit":
        repository = record["eventSourceARN"].rpartition(":")[2]
        for each in record["codecommit"]["references"]:
            if not each.get("deleted"):
                region = record.get("awsRegion")
                by = record.get("userIdentityARN", "")
                yield _of_ref(repository, each["ref"], region, by)


def _of_object(bucket: str, key: str) -> Hint:
    return Hint(uses="source/s3", wanted={"s3_bucket": bucket, "s3_object_key": key})


def _of_ref(repository: str, ref: str, region: str | None, by: str) -> Hint:
    wanted = _there({"repository_name": repository}, region)
    return Hint(uses="source/codecommit", wanted=wanted, ref=ref, by=by)


def _there(wanted: dict[str, str], region: str | None) -> dict[str, str]:
    return {**wanted, **({"region": region} if region else {})}
