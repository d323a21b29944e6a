"""Dagster: a process a run, with its own executor in it and a store of runs."""

from pathlib import Path

from benchmarks.lab import call
from benchmarks.peers import Peer
from benchmarks.work import Actions, Delivery, Work

JOBS = Path(__file__).with_name("_dagster_jobs.py")


class Dagster(Peer):
    name = "Dagster, in process"
    slow = True

    def start(self) -> None:
        self._python = self.lab.venv("dagster", "dagster>=1.11,<2") / "python"
        self._home = self.lab.folder / "dagster" / "home"
        self._home.mkdir(parents=True)
        (self._home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def can(self, work: Work) -> bool:
        return isinstance(work, Delivery | Actions)

    def run(self, work: Work) -> None:
        words = ["delivery"]
        if isinstance(work, Actions):
            words = ["parallel" if work.parallel else "sequence", str(work.count)]
        home = {"DAGSTER_HOME": str(self._home)}
        environment = self.lab.environment("dagster") | home
        call(self._python, JOBS, *words, environment=environment)
