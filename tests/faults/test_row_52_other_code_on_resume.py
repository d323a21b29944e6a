"""Row 52: the process is killed, and the one that goes on has another definition on disk
and code that takes its steps in another order.

Nothing is replayed: the ledger says what is done, and the snapshot what is to do. So the
new code goes on with the old definition; no action that has succeeded runs again.

pytest tests/faults/test_row_52_other_code_on_resume.py -k "seed17-"
"""

import random
from pathlib import Path
from typing import Any

import pytest
from polling import until
from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.state import Status
from prefect_delivery.flows import loop
from prefect_delivery.flows.reconcile import set_right


@seeded()
def test_an_execution_goes_on_under_other_code(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: str
) -> None:
    chance = random.Random(seed)
    reached, go_on = tmp_path / "reached", tmp_path / "go-on"
    beside = {f"part{number}": step(tmp_path, number) for number in range(3)}
    wait = f"until test -e {go_on}; do sleep 0.02; done"
    project.publish(f"touch {reached}", wait, greeting="old", beside=beside)
    execution = project.start()
    driver = project.in_child(execution)
    until(reached.exists)
    # Each part has run, and may or may not be recorded when the process is killed.
    until(lambda: len([*tmp_path.glob("ran-*")]) == 3)
    driver.kill()
    driver.wait()
    done = {
        name: runs[-1]
        for name, runs in project.ledger.executions.get(execution.id)
        .stages["Build"]
        .actions.items()
        if runs[-1].status.ended
    }

    project.publish(greeting="new", before={"other": step(tmp_path, 9)})
    monkeypatch.setattr(loop, "decide", shuffled(chance))
    go_on.touch()
    ended = project.run(execution)
    set_right(project.ledger, print)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert "Before" not in ended.stages
    assert project.served == "old"
    for name, run in done.items():
        assert ended.stages["Build"].actions[name] == (run,)
    assert len(project.ledger.rollouts.history(ENVIRONMENT)) == 1
    project.audit()


def step(folder: Path, number: int) -> dict[str, Any]:
    command = f"echo x >> {folder}/ran-{number}"
    return {"uses": "build/commands", "inputs": "app", "with": {"commands": [command]}}


def shuffled(chance: random.Random) -> Any:
    """The engine, with its steps in an order of its own."""

    def decide_otherwise(*arguments: Any) -> Any:
        steps = [*decide(*arguments)]
        chance.shuffle(steps)
        return steps

    return decide_otherwise
