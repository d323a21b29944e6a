"""Row 27: an approval of one thing is used for another that was made since.

Refused: a vote is bound to the digests, revisions and definition that the person was
shown. It counts neither when it is sent again, nor when the artifact is made anew after
it; the people are asked again.

pytest tests/faults/test_row_27_approval_of_another.py -k "seed17-"
"""

import random

import pytest
from projects import Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import Refused

GATES = {"approvers": ["bob", "cid"], "count": 2}


@seeded()
def test_an_approval_is_for_what_was_seen(project: Project, seed: str) -> None:
    chance = random.Random(seed)
    words = [f"{chance.random()}" for _ in range(2)]
    seen = []
    for word in words:
        project.publish(greeting=word, gates=GATES, mode="parallel")
        waits = project.run()
        assert waits.status is Status.WAITING
        seen.append(fingerprint(project, waits))
        if len(seen) == 1:
            first = waits
    first_voter, second_voter = chance.sample(["bob", "cid"], 2)
    assert seen[0] != seen[1]

    # What was shown of the first is sent for the second.
    with pytest.raises(Refused, match="has changed since it was shown"):
        control.approve(project.ledger, "shop", 2, by=first_voter, seen=seen[0])
    control.approve(project.ledger, "shop", 2, by=first_voter, seen=seen[1])
    control.reject(project.ledger, "shop", first.number, by=second_voter)

    assert project.run(project.ledger.executions.find("shop", 1)).status is not (
        Status.SUCCEEDED
    )
    assert project.run(project.ledger.executions.find("shop", 2)).status is (
        Status.WAITING
    )
    assert project.served is None
    control.approve(project.ledger, "shop", 2, by=second_voter, seen=seen[1])
    assert project.run(project.ledger.executions.find("shop", 2)).status is (
        Status.SUCCEEDED
    )
    assert project.served == words[1]
    project.audit()


def fingerprint(project: Project, execution: Execution) -> str:
    view = control.approval_view(project.ledger, execution, "Approve", "ok")
    return view.ballot.seen.fingerprint
