"""Row 26: several people decide at the same moment; some approve, one may reject.

Each has one vote. With two of three people needed, two approve it whatever the order;
a rejection that is recorded before the second approval wins, and who comes later is told
what became of it. Nothing is deployed without two different people.

pytest tests/faults/test_row_26_two_approvers.py -k "seed17-"
"""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from projects import Project
from seeds import seeded

from prefect_delivery import control
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

GATES = {"approvers": ["bob", "cid", "dan"], "count": 2}
CLICKS = 2


@seeded()
def test_each_has_one_vote(project: Project, seed: str) -> None:
    chance = random.Random(seed)
    project.publish(gates=GATES)
    waits = project.run()
    assert waits.status is Status.WAITING
    people = [("bob", True), ("cid", chance.random() < 0.5), ("dan", True)]
    clicks = people[: chance.choice([2, 3])] * CLICKS
    chance.shuffle(clicks)
    together = Barrier(len(clicks))

    def click(who: tuple[str, bool]) -> str:
        by, approves = who
        vote = control.approve if approves else control.reject
        with Ledger.open() as ledger:
            together.wait()
            try:
                vote(ledger, "shop", by=by)
            except Refused as refused:
                return str(refused)
        return ""

    with ThreadPoolExecutor(len(clicks)) as threads:
        answers = [*threads.map(click, clicks)]

    [votes] = project.ledger.votes.list(waits.id).values()
    taken = [who for who, answer in zip(clicks, answers, strict=True) if not answer]
    assert sorted(vote.person for vote in votes) == sorted(by for by, _ in taken)
    assert len({by for by, _ in taken}) == len(taken)
    assert all("already" in a or "waits" in a for a in answers if a), answers
    rejected = any(not approves for _, approves in taken)
    ended = project.run(project.ledger.executions.get(waits.id))
    if rejected:
        assert ended.status is Status.FAILED
        assert project.served is None
    else:
        assert len(taken) == 2
        assert ended.status is Status.SUCCEEDED
    project.audit()
