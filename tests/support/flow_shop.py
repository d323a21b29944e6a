"""Two Prefect flows that are deployed as `live`, and releases of them."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks.prefect_deployment import (
    PULL,
    PrefectDeploymentEnvironment,
)
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release

FLOWS = '''
from prefect import flow
from words import WORD

@flow(name="{name}-buy")
def buy(count: int = 1) -> str:
    """Buy things."""
    return WORD * count

@flow(name="{name}-sell")
def sell() -> str:
    return WORD
'''


def release_of(folder: Path, files: dict[str, str]) -> Release:
    """A release of these files, which are written into a folder first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    artifact = Artifact.of(folder)
    with Ledger.open() as ledger:
        return ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": folder.name},
            definition_digest="0" * 64,
            variables={},
        )


class FlowShop:
    """An environment called `production` on the server that is configured."""

    environment = "production"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"shop-{uuid4().hex[:8]}"
        self.flows = [f"{self.name}-buy", f"{self.name}-sell"]
        self.ledger = Ledger.open()
        with self.prefect() as client:
            client.create_work_pool(WorkPoolCreate(name=self.name, type="process"))

    def prefect(self) -> SyncPrefectClient:
        return get_client(sync_client=True)

    def target(self, **settings: Any) -> PrefectDeploymentEnvironment:
        configured = {
            "deployment": "live",
            "pool": self.name,
            "flows": {
                self.flows[0]: {"entrypoint": "flows.py:buy"},
                self.flows[1]: {"entrypoint": "flows.py:sell"},
            },
            **settings,
        }
        return PrefectDeploymentEnvironment(root=self.folder / "root", **configured)

    def release(self, word: str, text: str = FLOWS) -> Release:
        """A release whose flows return `word`, which they import from a module."""
        return release_of(
            self.folder / "source" / word,
            {
                "flows.py": text.replace("{name}", self.name),
                "words.py": f"WORD = {word!r}\n",
            },
        )

    def deployment(self, flow: str) -> DeploymentResponse | None:
        with self.prefect() as client:
            try:
                return client.read_deployment_by_name(f"{flow}/live")
            except ObjectNotFound:
                return None

    def words(self) -> list[str | None]:
        """What each flow would return, by the code that its deployment leads to."""
        return [self._word(self.deployment(flow)) for flow in self.flows]

    def _word(self, deployment: DeploymentResponse | None) -> str | None:
        if deployment is None:
            return None
        assert deployment.pull_steps
        code = Path(deployment.pull_steps[0][PULL]["directory"]) / "words.py"
        found = re.fullmatch(r"WORD = '(\w+)'\n", code.read_text())
        assert found
        return found[1]
