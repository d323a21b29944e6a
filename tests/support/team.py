"""A team that deploys its pipelines, and what comes of it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployed import Machine, until
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse

from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger

DEFINITION = """
pipeline: %(name)s
%(more)s
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "%(url)s", branch: main}}
  Build:
    actions:
      package:
        uses: build/commands
        with:
          commands: ['echo "$TEXT"']
          environment: {TEXT: "%(text)s"}
"""


@dataclass
class Team:
    """A machine that deploys, what it deploys to, and what came of it."""

    machine: Machine
    folder: Path
    client: SyncPrefectClient
    pool: str

    @property
    def ledger(self) -> Ledger:
        self.machine.home.mkdir(exist_ok=True)
        return Ledger(f"sqlite:///{self.machine.home / 'ledger.db'}")

    def write(
        self,
        name: str,
        more: str = "",
        *,
        url: str = "https://git.example/shop",
        text: str = "hello",
        file: str | None = None,
    ) -> Path:
        """Write a definition into a folder of its own."""
        path = self.folder / (file or f"{name}/delivery.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {"name": name, "more": more, "url": url, "text": text}
        path.write_text(DEFINITION % values)
        return path

    def deliver(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.machine.call("deliver", *words, folder=self.folder)

    def deploy(self, *words: str) -> str:
        """Deploy into the pool; return what it says."""
        done = self.deliver("deploy", *words, "--pool", self.pool)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deployment(self, name: str) -> DeploymentResponse:
        return self.client.read_deployment_by_name(f"pipeline/{name}")

    def work(self) -> None:
        """Start a worker of Prefect's own, in an empty folder."""
        empty = self.machine.folder / "empty"
        empty.mkdir()
        self.client.create_work_pool(WorkPoolCreate(name=self.pool, type="process"))
        words = ["worker", "start", "--type", "process", "--pool", self.pool]
        self.machine.start("prefect", *words, folder=empty, log="worker")

    def ended(self, pipeline: str, number: int = 1) -> Execution:
        """An execution, once it is there and has ended."""
        ledger = self.ledger

        def is_over() -> bool:
            found = ledger.executions.list(pipeline)
            return any(e.number == number and e.status.ended for e in found)

        until(is_over, f"the end of {pipeline} #{number}")
        return ledger.executions.find(pipeline, number)

    def ask(self, name: str, **parameters: Any) -> Any:
        """Ask for a run, as Prefect's page does."""
        return self.client.create_flow_run_from_deployment(
            self.deployment(name).id, parameters=parameters
        )
