"""A bucket of S3 with an object that somebody has put there, and releases for it."""

from pathlib import Path

import boto3  # type: ignore[import-untyped]  # no py.typed
from ministack import REGION

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.s3_bucket import HIDDEN, S3BucketEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release

BY_HAND = {"site/index": "by hand", "other": "by hand"}


class BucketShop:
    """A site in a bucket, whose page `index` was written by hand."""

    environment = "production"

    def __init__(self, folder: Path, address: str, name: str) -> None:
        self.folder = folder
        self.name = name
        self.ledger = Ledger.open()
        self.client = boto3.client("s3", endpoint_url=address, region_name=REGION)
        self.client.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        for key, text in BY_HAND.items():
            self.client.put_object(Bucket=name, Key=key, Body=text.encode())

    def target(self) -> S3BucketEnvironment:
        return S3BucketEnvironment(bucket=self.name, object_key="site")

    def release(self, text: str) -> Release:
        folder = self.folder / text
        folder.mkdir()
        for page in ("index", f"only-{text}"):
            (folder / page).write_text(text)
        artifact = Artifact.of(folder)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": text},
            definition_digest="0" * 64,
            variables={},
        )

    def pages(self) -> dict[str, str]:
        """What is in the bucket, but for what we hide there."""
        found = self.client.list_objects_v2(Bucket=self.name)["Contents"]
        return {
            each["Key"]: self.client.get_object(Bucket=self.name, Key=each["Key"])[
                "Body"
            ]
            .read()
            .decode()
            for each in found
            if not each["Key"].startswith(HIDDEN)
        }
