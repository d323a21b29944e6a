"""Files that become objects in a bucket (moto), and objects that come back."""

from collections.abc import Callable
from typing import Any

import pytest
from aws import Wire

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.blocks import Hooks
from prefect_delivery.blocks.s3_bucket import HIDDEN, S3BucketEnvironment
from prefect_delivery.errors import LeaseLost
from prefect_delivery.ledger import Ledger
from prefect_delivery.tasks.deploy.environment import deploy
from prefect_delivery.tasks.deploy.s3 import deploy_to_s3

Making = Callable[[dict[str, str]], Artifact]


@pytest.fixture
def objects(bucket: str, client: Callable[[str], Any]) -> Callable[[], dict[str, str]]:
    """What is in the bucket, but for what we hide there."""
    s3 = client("s3")

    def look() -> dict[str, str]:
        found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {
            each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"]
            .read()
            .decode(errors="replace")
            for each in found
            if not each["Key"].startswith(HIDDEN)
        }

    return look


@pytest.fixture
def hand(bucket: str, client: Callable[[str], Any]) -> Callable[[str, str], None]:
    """Writes an object as somebody who does not know of us."""
    return lambda key, text: client("s3").put_object(
        Bucket=bucket, Key=key, Body=text.encode(), CacheControl="max-age=5"
    )


def act(artifact: Artifact, bucket: str, **more: Any) -> Outputs:
    job = more.pop("job", Job(log=print))
    made: Outputs = deploy_to_s3.fn(
        artifact, bucket, more.pop("extract", True), job=job, **more
    )
    return made


def fail(artifact: Artifact, bucket: str) -> None:
    """Deploy what a check finds wrong once it is there."""
    target = S3BucketEnvironment(
        bucket=bucket, object_key="site", hooks=Hooks(after=["false"])
    )
    with pytest.raises(ActionFailed):
        deploy.fn(artifact, target, job=Job(log=print))


def test_files_become_objects_with_what_was_asked_for(
    bucket: str, artifact: Making, client: Callable[[str], Any], objects: Any
) -> None:
    files = {"index.html": "<p>one", "css/a.css": "p{}"}
    made = act(
        artifact(files),
        bucket,
        object_key="site",
        canned_acl="public-read",
        cache_control="max-age=60",
        kms_encryption_key_arn="arn:aws:kms:eu-west-1:1:key/k",
    )

    assert objects() == {"site/index.html": "<p>one", "site/css/a.css": "p{}"}
    head = client("s3").head_object(Bucket=bucket, Key="site/index.html")
    assert head["ContentType"] == "text/html"
    assert head["CacheControl"] == "max-age=60"
    assert head["SSEKMSKeyId"] == "arn:aws:kms:eu-west-1:1:key/k"
    acl = client("s3").get_object_acl(Bucket=bucket, Key="site/index.html")
    assert "READ" in [grant["Permission"] for grant in acl["Grants"]]
    target = S3BucketEnvironment(bucket=bucket, object_key="site")
    assert target.observe() == made.variables["release"]


def test_after_a_failure_the_previous_objects_are_there(
    bucket: str, artifact: Making, objects: Any, hand: Callable[[str, str], None]
) -> None:
    source = artifact({"a": "one", "b": "one"})
    good = act(source, bucket, object_key="site").variables["release"]
    hand("site/c", "by hand")
    before = objects()
    hand("site/a", "by hand")

    fail(artifact({"a": "two", "c": "two", "d": "two"}), bucket)

    assert objects() == before
    assert S3BucketEnvironment(bucket=bucket, object_key="site").observe() == good


def test_after_a_failed_first_release_objects_are_as_somebody_left_them(
    bucket: str,
    artifact: Making,
    objects: Any,
    hand: Callable[[str, str], None],
    client: Callable[[str], Any],
) -> None:
    hand("site/a", "by hand")
    hand("other", "by hand")

    fail(artifact({"a": "one", "b": "one"}), bucket)

    assert objects() == {"site/a": "by hand", "other": "by hand"}
    head = client("s3").head_object(Bucket=bucket, Key="site/a")
    assert head["CacheControl"] == "max-age=5"
    assert S3BucketEnvironment(bucket=bucket, object_key="site").observe() is None


def test_what_somebody_changes_by_hand_is_noticed(
    bucket: str, artifact: Making, hand: Callable[[str, str], None]
) -> None:
    act(artifact({"a": "one"}), bucket)
    target = S3BucketEnvironment(bucket=bucket)
    assert target.observe()

    hand("a", "by hand")

    assert target.observe() is None


def test_an_archive_is_one_object(
    bucket: str, artifact: Making, objects: Any, tmp_path: Any
) -> None:
    act(artifact({"a": "one"}), bucket, extract=False, object_key="out/app.zip")
    assert [*objects()] == ["out/app.zip"]

    with pytest.raises(ActionFailed, match="an archive needs a key"):
        act(artifact({"a": "one"}), bucket, extract=False)


def test_a_key_of_its_own_is_the_same_for_whoever_goes_on(
    bucket: str, artifact: Making, objects: Any, job: Job
) -> None:
    asked: dict[str, Any] = {
        "extract": False,
        "object_key": "{datetime}/{uuid}.zip",
        "job": job,
    }
    first = act(artifact({"a": "one"}), bucket, **asked).variables["ObjectKey"]
    again = act(artifact({"a": "one"}), bucket, **asked).variables["ObjectKey"]

    assert first == again
    assert [*objects()] == [first]
    assert "{" not in first


def test_an_older_lease_changes_nothing(
    bucket: str, artifact: Making, objects: Any, home: Any
) -> None:
    made = act(artifact({"a": "one"}), bucket)
    with Ledger.open() as ledger:
        release = ledger.releases.get(made.variables["release"])
    target = S3BucketEnvironment(bucket=bucket)
    target.prepare(release, 70)

    for verb in (target.prepare, target.commit, target.discard):
        with pytest.raises(LeaseLost, match="lease 69 is older"):
            verb(release, 69)


def test_answers_that_are_lost_after_the_effect_change_nothing_twice(
    bucket: str, artifact: Making, objects: Any, wire: Wire
) -> None:
    act(artifact({"a": "one"}), bucket)
    wire.cuts += [f"PUT /{bucket}/a", f"PUT /{bucket}/b"]

    made = act(artifact({"a": "two", "b": "two"}), bucket)

    assert wire.cuts == []
    assert objects() == {"a": "two", "b": "two"}
    assert S3BucketEnvironment(bucket=bucket).observe() == made.variables["release"]


def test_whatever_answer_is_lost_the_objects_of_before_come_back(
    bucket: str, artifact: Making, objects: Any, wire: Wire
) -> None:
    act(artifact({"a": "one", "c": "one"}), bucket)
    wire.each = True

    with pytest.raises(ActionFailed):
        deploy.fn(
            artifact({"a": "two", "b": "two"}),
            S3BucketEnvironment(bucket=bucket, hooks=Hooks(after=["false"])),
            job=Job(log=print),
        )

    assert objects() == {"a": "one", "c": "one"}
    assert {each.partition(" ")[0] for each in wire.lost} == {"PUT", "DELETE"}


def test_a_bucket_that_is_not_there_is_named(cloud: None, artifact: Making) -> None:
    with pytest.raises(ActionFailed, match="NoSuchBucket"):
        act(artifact({"a": "one"}), "none-such")
