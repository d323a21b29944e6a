"""Row 29: somebody leaves the approvers between their vote and the deployment.

Votes are judged again when they are used, by the people whom the environment names
then: a vote of somebody who has left counts no more, and what lacks is said.

pytest tests/faults/test_row_29_approver_removed.py -k "seed17-"
"""

import random

from projects import ENVIRONMENT, Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.approvals import gate_problem
from prefect_delivery.engine.policies import Gates
from prefect_delivery.engine.state import Status

PEOPLE = ["bob", "cid", "dan", "eve"]


@seeded()
def test_votes_are_judged_again_at_use(project: Project, seed: str) -> None:
    """What the deployment asks right before it begins, with other people each time."""
    chance = random.Random(seed)
    before = Gates(approvers=PEOPLE[:3], count=2)
    project.publish(gates=before.model_dump(exclude_defaults=True))
    waits = project.run()
    assert waits.status is Status.WAITING
    voters = chance.sample(before.approvers, 2)
    for voter in voters:
        control.approve(project.ledger, "shop", by=voter)
    approved = project.ledger.executions.get(waits.id)
    [site] = approved.stages["Build"].actions["package"][-1].artifacts.values()
    votes = project.ledger.votes.list(waits.id)

    def problem(people: list[str], count: int = 2) -> str | None:
        now = Gates(approvers=people, count=count)
        return gate_problem(approved, now, ENVIRONMENT, site.digest, votes)

    gone, stays = chance.sample(voters, 2)
    rest = [person for person in PEOPLE if person != gone]
    assert problem(before.approvers) is None
    lacks = problem(rest) or ""
    assert "lacks the approval of 1 of approvers" in lacks
    assert gone not in lacks.partition("(")[2]
    assert problem(rest, 1) is None
    assert problem([person for person in PEOPLE if person not in voters], 1)
    assert stays in voters

    assert project.run(approved).status is Status.SUCCEEDED
    project.audit()
