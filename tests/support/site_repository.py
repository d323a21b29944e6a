"""A repository whose pipeline deploys it, under conditions of the test."""

from pathlib import Path
from typing import Any

from repository import Shop

from prefect_delivery import control
from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution

SITE = """
pipeline: site
environments:
  production: {{kind: host, root: {root}}}
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: {url}}}}}
  Production:
    actions:
      deploy: {{uses: deploy/environment, inputs: app, with: {{environment: production}}}}
{conditions}
  Tell:
    actions:
      people: {{uses: build/commands, inputs: app, with: {{commands: ["true"]}}}}
"""


class Site(Shop):
    """A repository whose pipeline deploys it, under conditions of the test."""

    @property
    def root(self) -> Path:
        return self.folder.parent / "root"

    def begin(self, conditions: str) -> Execution:
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        text = SITE.format(root=self.root, url=self.folder, conditions=conditions)
        return control.start(self.ledger, load(text))

    def run(self, conditions: str, **options: Any) -> Execution:
        return self.drive(self.begin(conditions), local=True, **options)
