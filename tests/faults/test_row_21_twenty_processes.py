"""Row 21: twenty processes, over SQLite and over PostgreSQL, race for one stage at the
moment at which it becomes free; in a queue, some are killed (SIGKILL) while they wait.

One at a time is inside, which a file that only one can own witnesses. In mode `queued`
all that live get in, first come, first served; in `superseded` the newest does, and the
others end; four pipelines that share a concurrency group take turns.

pytest tests/faults/test_row_21_twenty_processes.py -k "seed17-"
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from polling import until
from processes import Child
from seeds import number_of, seeded

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.gate import Enter, Hold
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.close import close_dead
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Ledger

COUNT = 20
POLL = 0.2
RACES = ["queued", "superseded", "group"]
NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def url(new_ledger: Callable[[], str]) -> str:
    return new_ledger()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as opened:
        yield opened


@seeded()
def test_one_of_twenty_is_inside(
    ledger: Ledger, url: str, tmp_path: Path, seed: str
) -> None:
    chance, race = random.Random(seed), RACES[number_of(seed) % len(RACES)]
    gate, *waiting = [start(ledger, race, number) for number in range(COUNT + 1)]
    attempt = ledger.executions.claim(gate.id, holder="gate", ttl=600)
    ledger.executions.enter_stage(attempt, "Deploy")
    witness = tmp_path / "witness"
    witness.with_suffix(".log").touch()
    ledger.close()  # a fork must not inherit its connections
    racers = {
        execution.title: Child(partial(go, url, execution, witness))
        for execution in chance.sample(waiting, COUNT)
    }
    until(lambda: all(arrived(ledger, execution) for execution in waiting))
    victims = chance.randint(0, 3) if race == "queued" else 0
    killed = {execution.title for execution in chance.sample(waiting, victims)}
    for title in killed:
        racers[title].kill()
        os.waitid(os.P_PID, racers[title].pid, os.WEXITED | os.WNOWAIT)
    close_dead(ledger, lambda _: None)

    ledger.executions.end_stage(attempt, "Deploy", Status.SUCCEEDED)
    ledger.executions.end(attempt, Status.SUCCEEDED)

    codes = {title: racer.wait() for title, racer in racers.items()}
    assert {title: code for title, code in codes.items() if code} == dict.fromkeys(
        killed, -signal.SIGKILL
    )
    were_inside = witness.with_suffix(".log").read_text().splitlines()
    if race == "queued":
        assert were_inside == [e.title for e in waiting if e.title not in killed]
    elif race == "superseded":
        assert were_inside == [waiting[-1].title]
    else:
        check_turns(were_inside)
    ledger.audit.verify()


def start(ledger: Ledger, race: str, number: int) -> Execution:
    """The next execution: of one pipeline, or of four that share a group in turn."""
    stage: dict[str, Any] = {"actions": {"deploy": {"uses": "deploy/environment"}}}
    name, mode = "shop", race
    if race == "group":
        stage["concurrency_group"] = "database"
        name, mode = NAMES[number % 4] if number else "gate", "queued"
    definition = Pipeline.model_validate(
        {"pipeline": name, "mode": mode, "stages": {"Deploy": stage}}
    )
    return ledger.executions.start(definition, variables={}, started_by="ann")


def go(url: str, execution: Execution, witness: Path) -> None:
    """Drive the execution into the stage, and through it."""
    with Ledger(url) as ledger:
        executions = ledger.executions
        attempt = executions.claim(execution.id, holder=this_holder(), ttl=600)
        while isinstance(verdict := executions.enter_stage(attempt, "Deploy"), Hold):
            time.sleep(POLL)
        if not isinstance(verdict, Enter):
            return
        os.close(os.open(witness, os.O_CREAT | os.O_EXCL))
        with witness.with_suffix(".log").open("a") as log:
            log.write(f"{execution.title}\n")
        executions.begin_action(attempt, "Deploy", "deploy", 1)
        executions.end_action(attempt, "Deploy", "deploy", 1, Status.SUCCEEDED)
        witness.unlink()
        executions.end_stage(attempt, "Deploy", Status.SUCCEEDED)
        executions.end(attempt, Status.SUCCEEDED)


def arrived(ledger: Ledger, execution: Execution) -> bool:
    """Whether it stands before the stage, or has ended since a newer one does."""
    now = ledger.executions.get(execution.id)
    return now.status.ended or "Deploy" in now.stages


def check_turns(titles: list[str]) -> None:
    """Each pipeline's executions in order, and no pipeline twice before the others."""
    assert len(titles) == COUNT
    for name in NAMES:
        own = [title for title in titles if title.startswith(f"{name} ")]
        assert own == [f"{name} #{n}" for n in range(1, COUNT // 4 + 1)]
    for turn in range(0, COUNT, 4):
        assert {title[0] for title in titles[turn : turn + 4]} == {*NAMES}
