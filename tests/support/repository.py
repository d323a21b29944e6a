"""A repository with a pipeline, and ways to run it."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from prefect_delivery import control
from prefect_delivery.definition import load_file
from prefect_delivery.engine.state import Execution
from prefect_delivery.flows.run import Watch, run_execution
from prefect_delivery.ledger import Ledger

DEFINITION = """
pipeline: shop
variables:
  greeting: {default: hello}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: %(url)s, branch: main}}
  Build:
    actions:
%(build)s
  Deliver:
    actions:
      show:
        uses: build/commands
        inputs: site
        with:
          commands: [cat "$FILE"]
          environment: {FILE: dist/greeting}
"""
BUILD = """
      package:
        uses: build/commands
        with:
          commands: [mkdir dist, 'echo "$TEXT" > dist/greeting']
          environment: {TEXT: "#{variables.greeting} from #{app.commit}"}
        outputs: {site: ["dist/**"]}
"""


@dataclass
class Shop:
    """A repository on disk, and what is needed to run its pipeline."""

    folder: Path
    ledger: Ledger
    lines: list[str] = field(default_factory=list)
    seen: list[Execution] = field(default_factory=list)

    def define(self, build: str = BUILD) -> None:
        """Commit a definition whose Build stage has these actions."""
        text = DEFINITION % {"url": self.folder, "build": build.strip("\n")}
        (self.folder / "delivery.yaml").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "define")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def start(self, **options: object) -> Execution:
        definition = load_file(self.folder / "delivery.yaml")
        return control.start(self.ledger, definition, **options)  # type: ignore[arg-type]

    def drive(
        self, execution: Execution, *, local: bool, stay: bool = False
    ) -> Execution:
        watch = Watch(
            self.seen.append,
            lambda action, line: self.lines.append(f"{action}: {line}"),
            stay=stay,
        )
        return run_execution(execution.id, watch, local=local, ledger=self.ledger)
