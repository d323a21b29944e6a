"""Row 24: the definition is edited between a deployment and the rollback to it: stages
are added or renamed, or the build is changed.

The rollback runs the stage as it ran then, by that execution's snapshot, with the
artifact of the store; it needs neither the source nor the build.

pytest tests/faults/test_row_24_edited_before_rollback.py -k "seed17-"
"""

import random
import shutil
from typing import Any

from projects import APPROVAL, ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Status

EDITS: list[dict[str, Any]] = [
    {"before": {"ok": {**APPROVAL, "timeout": 5}}},
    {"mode": "queued"},
    {"build": {"timeout": 3}},
    {"description": "another"},
]


@seeded()
def test_a_rollback_uses_what_there_was(project: Project, seed: str) -> None:
    chance = random.Random(seed)
    project.publish(greeting="first")
    first = project.run()
    for number in range(chance.randint(1, 3)):
        project.publish(greeting=f"later-{number}", **chance.choice(EDITS))
        execution = project.run()
        if execution.status is Status.WAITING:
            control.approve(project.ledger, "shop", by="bob")
            execution = project.run(execution)
        assert execution.status is Status.SUCCEEDED, execution.reason
    shutil.rmtree(project.folder)

    back = control.rollback(
        project.ledger, "shop", "Production", to=first.number, by="ann"
    )
    ended = project.run(back)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert ended.definition.digest == first.definition.digest
    assert list(ended.stages) == ["Production"]
    assert project.served == "first"
    assert project.ledger.rollouts.history(ENVIRONMENT)[0].kind == "rollback"
    project.audit()
