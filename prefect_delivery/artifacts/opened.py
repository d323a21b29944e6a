"""The artifact store that the settings name."""

from importlib import import_module
from typing import Any

from prefect_delivery.artifacts.shared import SharedStore
from prefect_delivery.artifacts.store import ArtifactStore
from prefect_delivery.settings import settings


def open_store() -> ArtifactStore:
    """The store of this machine, or the one that it shares with others.

    Raises:
        ArtifactError: There is no way to the shared one.
    """
    chosen = settings()
    if chosen.artifact_bucket is None:
        return ArtifactStore(chosen.artifacts)
    # By name, since it imports boto3 and Prefect, which a store in a folder needs not.
    s3: Any = import_module("prefect_delivery.blocks.s3_artifacts")
    objects = s3.S3Objects(
        chosen.artifact_bucket,
        credentials=chosen.artifact_credentials,
        kms_key=chosen.artifact_kms_key,
    )
    return SharedStore(chosen.artifacts, objects)
