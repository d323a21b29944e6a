"""A pipeline as a team has it: deployed, told of pushes, carried out by a worker."""

from dataclasses import dataclass, field
from pathlib import Path

from delivery_server import DeliveryServer
from deployed import Machine, until
from git_http import GitServer
from git_work import Developer
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import FlowRun
from webhooks import tell_of_pushes

from prefect_delivery.ledger import Ledger

DEFINITION = """
pipeline: shop
description: The pages of the shop, built, tested and released after an approval.
on: {push: {branches: [main]}}
variables:
  greeting: {default: Hello, description: What the front page says.}
environments:
  production: {kind: host, root: ./production}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "%(url)s", branch: main}}
  Build:
    actions:
      pages:
        uses: build/commands
        with:
          commands: [mkdir site, 'echo "$GREETING" > site/index.html']
          environment: {GREETING: "#{variables.greeting}"}
        outputs: {site: [site/]}
  Test:
    actions:
      links: {uses: test/commands, inputs: site, with: {commands: [test -s index.html]}}
      words: {uses: test/commands, inputs: site, with: {commands: [cat index.html]}}
  Production:
    actions:
      approve:
        uses: approval/manual
        with: {message: "Release #{app.short}?", anonymous: true}
      deploy:
        uses: deploy/environment
        run_order: 2
        inputs: site
        with: {environment: production}
"""


@dataclass
class ShownShop:
    """What the pages of Prefect show, and the hands that change it."""

    machine: Machine
    git: GitServer
    client: SyncPrefectClient
    developer: Developer = field(init=False)
    hooks: DeliveryServer = field(init=False)

    def open(self) -> None:
        """Deploy the pipeline, and start what a team has running."""
        name = self.machine.folder.name.replace("_", "-")
        url, bare = self.git.url(name), self.git.create(name)
        self.developer = Developer(self.machine.folder / "code")
        self.developer.git("remote", "add", "origin", url)
        definition = self.machine.folder / "delivery.yaml"
        definition.write_text(DEFINITION % {"url": url})
        done = self.machine.call("deliver", "deploy", "--poll", "86400")
        assert done.returncode == 0, done.stdout + done.stderr
        folder = self.machine.folder / "empty"
        folder.mkdir()
        self.machine.start("deliver", "worker", folder=folder, log="worker")
        self.hooks = DeliveryServer(folder, self.machine.environment)
        self.hooks.start()
        address = f"http://127.0.0.1:{self.hooks.port}/delivery/hooks/github"
        tell_of_pushes(bare, url, address)

    def close(self) -> None:
        self.hooks.kill()
        self.machine.switch_off()

    def push(self) -> None:
        """What starts the pipeline."""
        self.developer.commit("Sell pears", {"README": "A shop."})
        self.developer.push()

    def run(self, state: str) -> FlowRun:
        """The run that the push has started, once it is in a state."""

        def found() -> list[FlowRun]:
            runs = self.client.read_flow_runs()
            return [
                r for r in runs if r.name.startswith("shop") and r.state_name == state
            ]

        until(found, f"a run that is {state}")
        return found()[0]

    @property
    def released(self) -> str:
        page: Path = self.machine.folder / "production/current/index.html"
        return page.read_text().strip()

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.machine.home / 'ledger.db'}")
