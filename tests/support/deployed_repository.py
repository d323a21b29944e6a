"""A repository on a git server, and pipelines that are deployed for it."""

from dataclasses import dataclass, field
from typing import Any

from git_http import GitServer
from git_work import Developer

from prefect_delivery.changes import Change, Outcome
from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger
from prefect_delivery.triggers import incoming

PIPELINE = """
pipeline: %(name)s
on: %(on)s
%(more)s
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "%(url)s", branch: main}}
  Build:
    actions:
      make:
        uses: build/commands
        with: {commands: ["true"], secrets: {TOKEN: env:TOKEN}%(image)s}
"""


@dataclass
class DeployedRepository:
    """What is pushed to it, and what that starts.

    Attributes:
        handed_over: Executions that Prefect would be given.
    """

    ledger: Ledger
    developer: Developer
    url: str
    handed_over: list[Execution] = field(default_factory=list[Execution])

    @classmethod
    def make(
        cls, ledger: Ledger, server: GitServer, developer: Developer, name: str
    ) -> "DeployedRepository":
        bare = server.create(name)
        developer.git("remote", "add", "origin", str(bare))
        return cls(ledger, developer, server.url(name))

    def text(self, name: str, on: str, more: str = "", *, image: str = "") -> str:
        values = {"name": name, "on": on, "more": more, "url": self.url}
        return PIPELINE % {**values, "image": f", image: '{image}'" if image else ""}

    def deploy(self, name: str, on: str, more: str = "", *, image: str = "") -> None:
        """Note a pipeline as `deliver deploy` does, without Prefect."""
        self.ledger.deployments.note(
            load(self.text(name, on, more, image=image)),
            deployment="00000000-0000-0000-0000-000000000000",
            origin="there",
            file="delivery.yaml",
            settings={},
            by="ann",
        )

    def push(self, commit: str, ref: str = "refs/heads/main", **more: Any) -> Change:
        """The change that a webhook would tell of."""
        return Change(
            kind="push", repository=self.url, ref=ref, revision=commit, by="ann", **more
        )

    def incoming(self, change: Change) -> list[Outcome]:
        return incoming(self.ledger, change, hand_over=self._hand_over)

    def _hand_over(self, ledger: Ledger, execution: Execution) -> None:
        # A test with a server of Prefect's is in tests/integration/deployments.
        self.handed_over.append(execution)
