"""Artifacts: trees of files, addressed by the digest of what they hold."""

from prefect_delivery.artifacts.artifact import Artifact
from prefect_delivery.artifacts.opened import open_store
from prefect_delivery.artifacts.store import ArtifactStore

__all__ = ["Artifact", "ArtifactStore", "open_store"]
