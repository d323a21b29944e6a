"""What messages of a queue tell of."""

import json
from typing import Any

import pytest

from prefect_delivery.definition import load
from prefect_delivery.queues import Hint, hints_of
from prefect_delivery.trigger_filters import sources_of

S3 = Hint(uses="source/s3", wanted={"s3_bucket": "shop", "s3_object_key": "my app.zip"})
MAIN = Hint(
    uses="source/codecommit",
    wanted={"repository_name": "shop", "region": "eu-west-1"},
    ref="refs/heads/main",
    by="arn:aws:iam::1:user/ann",
)
IMAGE = Hint(
    uses="source/ecr",
    wanted={"repository_name": "shop", "image_tag": "v1", "region": "eu-west-1"},
)


def event(source: str, kind: str, **detail: Any) -> dict[str, Any]:
    return {
        "source": source,
        "detail-type": kind,
        "region": "eu-west-1",
        "detail": detail,
    }


def codecommit(**more: str) -> dict[str, Any]:
    return event(
        "aws.codecommit",
        "CodeCommit Repository State Change",
        **{
            "event": "referenceUpdated",
            "repositoryName": "shop",
            "referenceType": "branch",
            "referenceName": "main",
            "callerUserArn": "arn:aws:iam::1:user/ann",
            **more,
        },
    )


CREATED = event(
    "aws.s3", "Object Created", bucket={"name": "shop"}, object={"key": "my app.zip"}
)
TRAIL = event(
    "aws.s3",
    "AWS API Call via CloudTrail",
    requestParameters={"bucketName": "shop", "key": "my app.zip"},
)
PUT = {
    "eventSource": "aws:s3",
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "shop"}, "object": {"key": "my+app.zip"}},
}
TRIGGER = {
    "eventSource": "aws:codecommit",
    "awsRegion": "eu-west-1",
    "eventSourceARN": "arn:aws:codecommit:eu-west-1:1:shop",
    "userIdentityARN": "arn:aws:iam::1:user/ann",
    "codecommit": {"references": [{"commit": "c", "ref": "refs/heads/main"}]},
}
PUSH = {
    "action-type": "PUSH",
    "result": "SUCCESS",
    "repository-name": "shop",
    "image-tag": "v1",
}


@pytest.mark.parametrize(
    ("told", "hints"),
    [
        (CREATED, [S3]),
        (TRAIL, [S3]),
        ({"Records": [PUT]}, [S3]),
        ({"Records": [{**PUT, "eventName": "ObjectRemoved:Delete"}]}, []),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent"}, []),
        (codecommit(), [MAIN]),
        (codecommit(event="referenceDeleted"), []),
        (codecommit(event="commentOnCommitCreated"), []),
        ({"Records": [TRIGGER]}, [MAIN]),
        (event("aws.ecr", "ECR Image Action", **PUSH), [IMAGE]),
        (event("aws.ecr", "ECR Image Action", **{**PUSH, "result": "FAILURE"}), []),
        ({"Type": "Notification", "Message": json.dumps(CREATED)}, [S3]),
        (event("aws.ec2", "EC2 Instance State-change Notification"), []),
        ({"detail": 1, "source": "aws.s3", "detail-type": "Object Created"}, []),
        ([1], []),
        (None, []),
    ],
)
def test_a_message_tells_of_what_has_changed(told: Any, hints: list[Hint]) -> None:
    assert hints_of(json.dumps(told)) == hints


def test_a_message_that_is_no_json_tells_of_nothing() -> None:
    assert hints_of("hello") == []


@pytest.mark.parametrize(
    ("configuration", "meant"),
    [
        ("repository_name: shop, image_tag: v1", True),
        ("repository_name: shop, image_tag: v1, region: eu-west-1", True),
        ("repository_name: shop, image_tag: v1, region: eu-west-2", False),
        ("repository_name: shop", False),
        ("repository_name: other, image_tag: v1", False),
    ],
)
def test_a_hint_means_sources_of_its_configuration(
    configuration: str, meant: bool
) -> None:
    definition = load(f"""
pipeline: shop
stages:
  Source:
    actions:
      app: {{uses: source/ecr, with: {{{configuration}}}}}
  Build:
    actions:
      make: {{uses: build/commands, with: {{commands: ["true"]}}}}
""")

    (source,) = sources_of(definition)

    assert IMAGE.means(source) is meant
