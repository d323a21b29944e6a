"""Objects of S3 and images of ECR, watched at an AWS that moto emulates over HTTP."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # no py.typed
import pytest
from moto_server import moto_server

from prefect_delivery.definition import load
from prefect_delivery.flows.watch import look_around
from prefect_delivery.ledger import Ledger

REGION = "eu-central-1"
KIND = "application/vnd.oci.image.manifest.v1+json"
PIPELINE = """
pipeline: {name}
on: {{push: {{}}}}
stages:
  Source:
    actions:
      app: {{uses: {uses}, with: {{{with_}}}}}
  Build:
    actions:
      make: {{uses: build/commands, with: {{commands: ["true"]}}}}
"""
SOURCES = {
    "versions": ("source/s3", "s3_bucket: versions, s3_object_key: app.zip"),
    "plain": ("source/s3", "s3_bucket: plain, s3_object_key: app.zip"),
    "image": ("source/ecr", "repository_name: app"),
    "lost": ("source/ecr", "repository_name: lost"),
}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """An empty AWS, as a worker finds it by its environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with moto_server() as address:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield lambda service: boto3.client(service)


def test_a_new_version_starts_a_pipeline_pinned_to_it(
    client: Callable[[str], Any], home: Path
) -> None:
    s3, ecr = client("s3"), client("ecr")
    for bucket in ("versions", "plain"):
        place = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    versioning = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration=versioning)
    ecr.create_repository(repositoryName="app")
    ledger = Ledger.open()
    for name, (uses, with_) in SOURCES.items():
        ledger.deployments.note(
            load(PIPELINE.format(name=name, uses=uses, with_=with_)),
            deployment="00000000-0000-0000-0000-000000000000",
            origin="there",
            file=f"{name}.yaml",
            settings={},
            by="ann",
        )

    def look() -> list[str]:
        said: list[str] = []
        look_around(ledger, said.append, hand_over=lambda *_: None)
        return said

    first = look()
    versions = [
        s3.put_object(Bucket=bucket, Key="app.zip", Body=b"1").get("VersionId")
        for bucket in ("versions", "plain")
    ]
    manifest = '{"schemaVersion": 2, "config": {}, "layers": []}'
    pushed = ecr.put_image(
        repositoryName="app",
        imageManifest=manifest,
        imageTag="latest",
        imageManifestMediaType=KIND,
    )["image"]["imageId"]["imageDigest"]
    found = look()

    (lost,) = [line for line in first if "watched" not in line]
    assert lost.startswith("ecr:///lost:latest: ")
    started = {e.pipeline: e for e in ledger.executions.list()}
    assert sorted(started) == ["image", "plain", "versions"], found
    assert started["versions"].revisions == {"app": versions[0]}
    assert started["versions"].trigger == "change of s3://versions/app.zip"
    assert started["image"].revisions == {"app": pushed}
    # An object without versions cannot be pinned: its source brings what is there.
    assert started["plain"].revisions == {}
    assert look()[1:] == []
