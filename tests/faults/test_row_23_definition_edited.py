"""Row 23: the definition is edited, broken or deleted while an execution runs on it.

The execution goes on with its snapshot, in this process or another. The next one takes
the new definition; each says by its digest which it ran on.

pytest tests/faults/test_row_23_definition_edited.py -k "seed17-"
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from polling import until
from projects import Project, pipe
from seeds import number_of, seeded

from prefect_delivery.engine.state import Status
from prefect_delivery.errors import DeliveryError
from prefect_delivery.flows.reconcile import set_right


def change(project: Project) -> None:
    project.publish(greeting="new", mode="queued")


def break_it(project: Project) -> None:
    (project.folder / "delivery.yaml").write_text("stages: [what?")


def delete(project: Project) -> None:
    (project.folder / "delivery.yaml").unlink()


EDITS: list[Callable[[Project], None]] = [change, break_it, delete]


@seeded()
def test_an_execution_goes_on_with_its_snapshot(
    project: Project, tmp_path: Path, seed: str
) -> None:
    chance, edit = random.Random(seed), EDITS[number_of(seed) % len(EDITS)]
    reached, go_on = tmp_path / "reached", pipe(tmp_path / "go-on")
    project.publish(f"touch {reached}", f"cat {go_on}", greeting="old")
    execution = project.start()
    driver = project.in_child(execution)
    until(reached.exists)

    edit(project)
    if chance.random() < 0.5:
        # Another process takes it over, after the edit.
        driver.kill()
        driver.wait()
        reached.unlink()
        driver = project.in_child(execution)
        until(reached.exists)
    go_on.write_text("")

    assert driver.wait() == 0
    ended = project.ledger.executions.get(execution.id)
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert project.served == "old"
    if edit is change:
        newer = project.run()
        assert (newer.status, project.served) == (Status.SUCCEEDED, "new")
        assert newer.definition.digest != ended.definition.digest
    else:
        with pytest.raises((DeliveryError, OSError)):
            project.start()
    set_right(project.ledger, print)
    project.audit()
