"""Row 4: Prefect's server is killed (SIGKILL) at a random moment of a run that
`deliver run` drives, and comes back later, or not before the end.

The run goes on: its truth is the ledger, which needs no server. The command says that the
server could not be told, and ends as the execution did. A deployment that begins
meanwhile is refused before it has any effect, since only the server knows whether a saved
environment stands for that name; a retry goes on from there. Nothing is done twice.

pytest tests/faults/test_row_04_server_down.py -k "seed17-"
"""

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Machine, Server, until
from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery.engine.state import Status
from prefect_delivery.flows.reconcile import set_right

LONGEST = 3.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests kill and start again."""
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def machine(server: Server, home: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine that uses the project's ledger and the server."""
    folder = tmp_path / "machine"
    folder.mkdir()
    made = Machine(folder, server.url, {"PREFECT_DELIVERY_HOME": str(home)})
    yield made
    made.switch_off()


@seeded(one_in=10)
def test_a_run_outlives_its_server(
    project: Project, server: Server, machine: Machine, tmp_path: Path, seed: str
) -> None:
    chance = random.Random(seed)
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    wait = f"until test -e {go_on}; do sleep 0.05; done"
    project.publish(f"touch {begun}", wait)
    run = machine.start("deliver", "run", folder=project.folder)
    until(begun.exists, "the build")

    time.sleep(chance.uniform(0, LONGEST))
    server.kill()
    go_on.touch()
    if chance.random() < 0.7:
        # It may be back before the end of the run, or while that is being told.
        ended_before(run, chance.uniform(0, LONGEST))
    else:
        run.wait(timeout=200)
    server.start()

    code = run.wait(timeout=200)
    ended = project.ledger.executions.find("shop")
    assert code == (0 if ended.status is Status.SUCCEEDED else 1), machine.output()
    if code:
        assert "Prefect cannot be asked for environment" in (ended.reason or "")
        assert project.served is None
        retried = machine.call("deliver", "retry", folder=project.folder)
        assert retried.returncode == 0, retried.stdout + retried.stderr
        ended = project.ledger.executions.find("shop")
    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
    assert project.served == "hello"
    assert len(project.ledger.rollouts.history(ENVIRONMENT)) == 1
    set_right(project.ledger, print)
    project.audit()


def ended_before(run: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
