"""Row 7: the process that drives an execution is lost (SIGKILL at a random moment).

Nobody waits for a time-out: whoever comes next sees that the holder's process is gone.
It either drives the execution on from its last recorded step, or records it as stopped,
and a retry goes on from there, also between two stages. One that is lost before it has
taken its execution up leaves one that is recorded as stopped when nobody has taken it up
for a while. The build runs at most once more; the deployment happens once.

pytest tests/faults/test_row_07_worker_lost.py -k "seed17-"
"""

import os
import random
import signal
from datetime import UTC, datetime, timedelta

from kill_points import kill_after
from processes import Child
from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.reconcile import set_right
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

LONGEST = 0.8
"""Seconds that an execution of the project takes."""


@seeded()
def test_an_execution_survives_its_worker(project: Project, seed: str) -> None:
    chance = random.Random(seed)
    assert project.run().status is Status.SUCCEEDED
    project.publish(greeting="second")
    execution = project.start()

    for _ in range(chance.choice([1, 1, 2])):
        kill_after(chance.uniform(0, LONGEST), project.in_child(execution))
    ended = carried_on(project, execution, reconcile=chance.random() < 0.5)
    set_right(project.ledger, print)

    assert (ended.status, ended.reason) == (Status.SUCCEEDED, None)
    assert project.served == "second"
    rollouts = project.ledger.rollouts.history(ENVIRONMENT)
    done = [each for each in rollouts if each.execution_id == ended.id]
    *again, once = [each for each in done if each.status == "committed"]
    assert once.steps
    assert {each.reason for each in again} <= {"it served already"}
    project.audit()


def test_one_that_was_never_taken_up_is_stopped_and_retried(
    project: Project,
) -> None:
    def start_and_die() -> None:
        project.ledger = Ledger.open()
        project.start()
        os.kill(os.getpid(), signal.SIGKILL)

    assert Child(start_and_die).wait() == -signal.SIGKILL
    set_right(project.ledger, print)
    soon = project.ledger.executions.find("shop")
    late = Ledger(settings().ledger, now=lambda: datetime.now(UTC) + timedelta(hours=1))

    said: list[str] = []
    set_right(late, said.append)

    assert soon.status is Status.IN_PROGRESS
    reason = "no process has taken it up"
    assert said == [f"shop #1: stopped, {reason} (deliver retry shop 1)"]
    stopped = project.ledger.executions.find("shop")
    assert (stopped.status, stopped.reason) == (Status.STOPPED, reason)
    project.audit()
    again = control.retry(project.ledger, "shop", by="ann")
    assert project.run(again).status is Status.SUCCEEDED
    project.audit()


def carried_on(project: Project, execution: Execution, *, reconcile: bool) -> Execution:
    """What becomes of the execution in the hands of somebody else."""
    now = project.ledger.executions.get(execution.id)
    if now.status.ended:
        return now
    if reconcile:
        assert Child(lambda: set_right(Ledger.open(), print)).wait() == 0
        now = project.ledger.executions.get(execution.id)
        if now.status is Status.STOPPED:
            now = control.retry(project.ledger, "shop", by="ann")
    return project.run(now)
