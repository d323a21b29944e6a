"""Row 22: newer executions arrive while an older one deploys.

What is inside of a stage is not interrupted: the deployment ends, and then the newest of
those that wait goes in. The ones between end as superseded, and say by which.

pytest tests/faults/test_row_22_superseded_inside.py -k "seed17-"
"""

import random
import time
from pathlib import Path

from polling import until
from projects import Project
from seeds import seeded

from prefect_delivery.engine.state import Execution, Status


@seeded()
def test_a_deployment_is_not_interrupted_by_a_newer_execution(
    project: Project, tmp_path: Path, seed: str
) -> None:
    chance = random.Random(seed)
    inside, go = tmp_path / "inside", tmp_path / "go"
    hook = f"touch {inside}; until test -e {go}; do sleep 0.02; done"
    project.publish(greeting="1", hooks={"before": [hook]})
    first = project.start()
    drivers = [project.in_child(first, stay=True)]
    until(inside.exists)
    newer: list[Execution] = []
    for number in range(chance.randint(1, 3)):
        project.publish(greeting=str(number + 2), hooks={"before": [hook]})
        newer.append(project.start())
        drivers.append(project.in_child(newer[-1], stay=True))
        time.sleep(chance.uniform(0, 0.5))

    until(lambda: waits(project, newer[-1]))
    assert status(project, first) is Status.IN_PROGRESS
    assert project.served is None
    go.touch()

    assert [driver.wait() for driver in drivers] == [0] * len(drivers)
    assert status(project, first) is status(project, newer[-1]) is Status.SUCCEEDED
    for between in newer[:-1]:
        assert status(project, between) is Status.SUPERSEDED
        reason = project.ledger.executions.get(between.id).reason or ""
        assert reason.startswith("superseded by #")
    assert project.served == str(len(newer) + 1)
    project.audit()


def status(project: Project, execution: Execution) -> Status:
    return project.ledger.executions.get(execution.id).status


def waits(project: Project, execution: Execution) -> bool:
    run = project.ledger.executions.get(execution.id).stages.get("Production")
    return run is not None and run.status is Status.WAITING
