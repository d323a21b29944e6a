"""An environment of Elastic Beanstalk, and releases for it."""

from pathlib import Path
from typing import Any

from beanstalk_double import Beanstalk

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.elastic_beanstalk import ElasticBeanstalkEnvironment
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release


class BeanstalkShop:
    """An environment that runs a version which nobody deployed by us."""

    environment = "production"

    def __init__(self, folder: Path, double: Beanstalk) -> None:
        self.folder = folder
        self.double = double
        self.ledger = Ledger.open()

    @property
    def version(self) -> str:
        """Label of the version that runs."""
        return str(self.double.environment["VersionLabel"])

    def target(self, **settings: Any) -> ElasticBeanstalkEnvironment:
        return ElasticBeanstalkEnvironment(
            application="shop", environment="shop-live", **settings
        )

    def release(self, text: str) -> Release:
        folder = self.folder / text
        folder.mkdir()
        (folder / text).write_text(text)
        artifact = Artifact.of(folder)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": text},
            definition_digest="0" * 64,
            variables={},
        )
