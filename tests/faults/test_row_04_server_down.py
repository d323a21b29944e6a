"""Row 4: Prefect's server is killed (SIGKILL) at a random moment of runs that
`deliver run` drives, and comes back later, or not before the end.

A run goes on: its truth is the ledger, which needs no server. The command says that the
server could not be told, and ends as the execution did. A deployment that begins
meanwhile is refused before it has any effect, since only the server knows whether a saved
environment stands for that name; a retry goes on from there. Nothing is done twice.

pytest tests/faults/test_row_04_server_down.py -k "seed10to19-"
"""

import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deployed import Machine, Server, until
from projects import ENVIRONMENT, Project
from seeds import batched

from prefect_delivery.engine.state import Status
from prefect_delivery.flows.reconcile import set_right

LONGEST = 3.0
MOMENTS = ["before", "down", "back"]
"""When a run's build ends: by its seed, before the server is killed, while it is down, or
once it is back.
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests kill and start again."""
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@dataclass
class Run:
    """A project with a ledger of its own, and a run of its pipeline.

    Attributes:
        moment: One of `MOMENTS`.
        go_on: A file for which the build waits.
    """

    project: Project
    machine: Machine
    moment: str
    go_on: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def of(cls, seed: str, folder: Path, url: str, patch: pytest.MonkeyPatch) -> "Run":
        """Start it; returns before its build has begun."""
        home, begun, go_on = folder / "home", folder / "begun", folder / "go-on"
        patch.setenv("PREFECT_DELIVERY_HOME", str(home))
        (folder / "machine").mkdir(parents=True)
        project = Project.at(folder / "shop")
        wait = f"until test -e {go_on}; do sleep 0.05; done"
        project.publish(f"touch {begun}", wait)
        more = {"PREFECT_DELIVERY_HOME": str(home)}
        machine = Machine(folder / "machine", url, more)
        process = machine.start("deliver", "run", folder=project.folder)
        return cls(
            project, machine, random.Random(seed).choice(MOMENTS), go_on, process
        )

    def check(self, patch: pytest.MonkeyPatch) -> None:
        """It ends as its execution does, which is carried out once."""
        patch.setenv(
            "PREFECT_DELIVERY_HOME", self.machine.more["PREFECT_DELIVERY_HOME"]
        )
        project = self.project
        code = self.process.wait(timeout=200)
        ended = project.ledger.executions.find("shop")
        output = self.machine.output()
        assert code == (0 if ended.status is Status.SUCCEEDED else 1), output
        if code:
            assert "Prefect cannot be asked for environment" in (ended.reason or "")
            assert project.served is None
            retried = self.machine.call("deliver", "retry", folder=project.folder)
            assert retried.returncode == 0, retried.stdout + retried.stderr
            ended = project.ledger.executions.find("shop")
        assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
        assert project.served == "hello"
        assert len(project.ledger.rollouts.history(ENVIRONMENT)) == 1
        set_right(project.ledger, print)
        project.audit()


@pytest.mark.timeout(1800)
@batched(10, handful=1)
def test_runs_outlive_their_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: list[str]
) -> None:
    """One death of the server for all seeds, each of which is a run."""
    chance = random.Random(seeds[0])
    runs: list[Run] = []

    def go_on(moment: str) -> None:
        for run in runs:
            if run.moment == moment:
                run.go_on.touch()

    try:
        for seed in seeds:
            runs.append(Run.of(seed, tmp_path / seed, server.url, monkeypatch))
        until(lambda: all((run.go_on.with_name("begun")).exists() for run in runs))

        go_on("before")
        time.sleep(chance.uniform(0, LONGEST))
        server.kill()
        go_on("down")
        if chance.random() < 0.7:
            # It may be back before the end of the runs, or while that is being told.
            time.sleep(chance.uniform(0, LONGEST))
        else:
            for run in runs:
                if run.moment != "back":
                    run.process.wait(timeout=200)
        server.start()
        go_on("back")

        for run in runs:
            run.check(monkeypatch)
    finally:
        for run in runs:
            run.machine.switch_off()
