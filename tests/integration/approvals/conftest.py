"""A project that deploys into an environment with gates."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from warm_commands import deliver

from prefect_delivery.ledger import Ledger

GIT = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@shop.example"]
DEFINITION = """\
pipeline: shop
environments:
  production:
    kind: host
    root: ./site
    gates: {GATES}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Build:
    actions:
      package:
        uses: build/commands
        with: {commands: ["mkdir dist", "cp greeting dist/"]}
        outputs: {site: ["dist/**"]}
  Approve:
    actions:
      APPROVAL
  Release:
    actions:
      deploy:
        uses: deploy/environment
        inputs: site
        with: {environment: production}
"""
APPROVAL = "ok: {uses: approval/manual, with: {environment: production}}"


@dataclass(frozen=True)
class Project:
    """A git repository with a definition, and a home of its own."""

    folder: Path

    def deliver(self, person: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command as that person, without a terminal."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / ".home"),
            "LANG": "C.UTF-8",
            "PREFECT_DELIVERY_HOME": str(self.folder / ".home"),
            "PREFECT_DELIVERY_USER": person,
        }
        return deliver(words, cwd=self.folder, env=environment)

    def run(self, person: str = "starter") -> subprocess.CompletedProcess[str]:
        return self.deliver(person, "run", "--local", "--no-wait-approval")

    def define(self, gates: str, approval: str = APPROVAL) -> None:
        """Commit a definition whose production has these gates."""
        text = DEFINITION.replace("{GATES}", gates).replace("APPROVAL", approval)
        (self.folder / "delivery.yaml").write_text(text)
        self.commit("Define")

    def commit(self, message: str, *options: str, greeting: str = "hello") -> None:
        (self.folder / "greeting").write_text(greeting)
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", message, *options)

    def git(self, *words: str) -> None:
        subprocess.run([*GIT, *words], cwd=self.folder, check=True)

    @property
    def served(self) -> str | None:
        """What the environment serves."""
        file = self.folder / "site" / "current" / "dist" / "greeting"
        return file.read_text() if file.exists() else None

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.folder}/.home/ledger.db")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Project(folder)
    made.git("init", "-q", "-b", "main")
    (folder / ".gitignore").write_text(".home/\nsite/\n")
    return made
