"""A project that deploys to staging, and from there by promotion."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from warm_commands import deliver

from prefect_delivery.ledger import Ledger

PROGRAM = str(Path(sys.executable).with_name("deliver"))
GIT = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@shop.example"]
DEFINITION = """\
pipeline: shop
environments:
  staging: {kind: host, root: ./staging}
  production:
    kind: host
    root: ./production
    gates: {approvers: [bob]}
  display: {kind: host, root: ./display}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Staging:
    actions:
      deploy: {uses: deploy/environment, inputs: app, with: {environment: staging}}
"""
PRODUCTION = """\
  Approve:
    actions:
      ok: {uses: approval/manual, with: {environment: production}}
  Production:
    before_entry:
      rules:
        open: {uses: rule/commands, with: {commands: ["test ! -e WALL"]}}
    actions:
      deploy: {uses: deploy/environment, inputs: app, with: {environment: production}}
"""


@dataclass(frozen=True)
class Project:
    """A git repository with a definition, and a home of its own."""

    folder: Path

    def command(self, person: str, *words: str) -> "subprocess.Popen[str]":
        """Start the command as that person, without a terminal."""
        return subprocess.Popen(
            [PROGRAM, *words],
            cwd=self.folder,
            env=self._environment(person),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def deliver(self, *words: str, person: str = "ann") -> tuple[int, str]:
        """Run the command; its exit code and all that it said."""
        done = deliver(words, cwd=self.folder, env=self._environment(person))
        return done.returncode, done.stdout + done.stderr

    def _environment(self, person: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / ".home"),
            "LANG": "C.UTF-8",
            "PREFECT_DELIVERY_HOME": str(self.folder / ".home"),
            "PREFECT_DELIVERY_USER": person,
        }

    def define(self, more: str = "") -> None:
        text = (DEFINITION + more).replace("WALL", str(self.folder / ".home" / "wall"))
        (self.folder / "delivery.yaml").write_text(text)
        self.commit("hello")

    def commit(self, greeting: str) -> str:
        (self.folder / "greeting").write_text(greeting)
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", greeting)
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        command = [*GIT, *words]
        done = subprocess.run(
            command, cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def served(self, environment: str) -> str | None:
        file = self.folder / environment / "current" / "greeting"
        return file.read_text() if file.exists() else None

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.folder}/.home/ledger.db")
