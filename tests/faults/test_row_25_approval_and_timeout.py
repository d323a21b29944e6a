"""Row 25: an approval comes as its time runs out, or after.

There is one outcome, the one that the ledger has recorded first. Whoever comes second
is told: a late vote is refused with what became of the approval and when, and a process
that finds the time over leaves an approval that was given just before as it is.

pytest tests/faults/test_row_25_approval_and_timeout.py -k "seed17-"
"""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from projects import APPROVAL, Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.engine.steps import CancelAction, Step
from prefect_delivery.errors import Refused
from prefect_delivery.flows import loop
from prefect_delivery.ledger import Ledger

SECONDS = 1.5


@seeded()
def test_one_of_both_counts(project: Project, seed: str) -> None:
    """A vote at a random moment around the time-out, by another process."""
    chance = random.Random(seed)
    ends = waiting(project)
    driver = project.in_child(project.ledger.executions.find("shop"), stay=True)
    moment = ends + timedelta(seconds=chance.uniform(-0.1, 0.1))
    time.sleep(max(0, (moment - datetime.now(UTC)).total_seconds()))

    refused = None
    try:
        control.approve(project.ledger, "shop", by="bob")
    except Refused as said:
        refused = said

    driver.wait()
    ended = project.ledger.executions.find("shop")
    [run] = ended.stages["Before"].actions["ok"]
    if refused is None:
        assert (ended.status, run.summary) == (Status.SUCCEEDED, "approved by bob")
    else:
        assert ended.status is run.status is Status.FAILED
        assert "timed out after" in (run.error or "")
        assert project.ledger.votes.list(ended.id) == {}
    project.audit()


def test_an_approval_given_just_before_the_process_looks_stands(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that drives finds the time over; before it says so, somebody votes.

    The voter's clock is behind, so that the ledger takes the vote.
    """
    ends = waiting(project)
    time.sleep(max(0, (ends - datetime.now(UTC)).total_seconds()))
    behind = Ledger(
        str(project.ledger._database.engine.url),
        now=lambda: datetime.now(UTC) - timedelta(minutes=1),
    )
    voted: list[Execution] = []

    def decide_and_vote(execution: Execution, now: datetime) -> list[Step]:
        steps = decide(execution, now)
        if not voted and any(isinstance(step, CancelAction) for step in steps):
            voted.append(control.approve(behind, "shop", by="bob"))
        return steps

    monkeypatch.setattr(loop, "decide", decide_and_vote)
    ended = project.run(project.ledger.executions.find("shop"))

    behind.close()
    assert voted
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert project.served == "hello"
    project.audit()


def waiting(project: Project) -> datetime:
    """Have an execution wait for an approval; gives when its time is over."""
    project.publish(before={"ok": {**APPROVAL, "timeout": SECONDS / 60}})
    waits = project.run()
    assert waits.status is Status.WAITING
    [run] = waits.stages["Before"].actions["ok"]
    return run.started + timedelta(seconds=SECONDS)
