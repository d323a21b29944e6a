"""Row 16: whatever starts executions tells it many times: fifty starts with one
idempotency key, from several processes at once, some of which are killed; and again
after a restart. (A receiver of webhooks is not there yet; its delivery id will be the
key.)

All of them are one execution, with one number, and it runs once.

pytest tests/faults/test_row_16_duplicate_starts.py -k "seed17-"
"""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kill_points import kill_after
from processes import Child
from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.definition import load_file
from prefect_delivery.engine.state import Status
from prefect_delivery.ledger import Ledger

STARTS = 50


@seeded()
def test_fifty_starts_with_one_key_are_one_execution(
    project: Project, tmp_path: Path, seed: str
) -> None:
    chance = random.Random(seed)
    definition = load_file(project.folder / "delivery.yaml")
    processes = chance.choice([2, 5])

    def start(_: int) -> str:
        found = control.start(
            project.ledger, definition, key="delivery-1", trigger="push"
        )
        return found.id

    def start_all() -> None:
        project.ledger = Ledger.open()
        with ThreadPoolExecutor(10) as threads:
            seen = set(threads.map(start, range(STARTS // processes)))
        assert len(seen) == 1

    children = [Child(start_all) for _ in range(processes)]
    killed = chance.sample(children, chance.randint(0, processes - 1))
    for child in children:
        if child in killed:
            kill_after(chance.uniform(0, 0.1), child)
        else:
            assert child.wait() == 0
    [execution] = project.ledger.executions.list()
    assert project.run(execution).status is Status.SUCCEEDED
    project.ledger.close()

    start_all()

    [ended] = project.ledger.executions.list()
    assert (ended.id, ended.number) == (execution.id, 1)
    assert ended.status is Status.SUCCEEDED
    assert len(project.ledger.rollouts.history(ENVIRONMENT)) == 1
    other = control.start(project.ledger, definition, key="delivery-2", trigger="push")
    assert other.number == 2
    project.run(other)
    project.audit()
