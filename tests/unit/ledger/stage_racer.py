"""One of many processes that race for a stage.

Usage: stage_racer.py URL WITNESS

For each line, the id of an execution, it prints `waits` once it stands before the stage,
and what became of it in the end. While it is inside it owns the file WITNESS, which
only one process can; the titles of those who were inside are appended to WITNESS.log.
"""

import os
import sys
import time
from pathlib import Path

from prefect_delivery.engine.gate import Enter, Hold
from prefect_delivery.engine.state import Status
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Attempt, Ledger

POLL = 0.1


def race(ledger: Ledger, attempt: Attempt, witness: Path) -> str:
    verdict = ledger.executions.enter_stage(attempt, "Deploy")
    print("waits" if isinstance(verdict, Hold) else verdict, flush=True)
    while isinstance(verdict, Hold):
        time.sleep(POLL)
        verdict = ledger.executions.enter_stage(attempt, "Deploy")
    if isinstance(verdict, Enter):
        work(ledger, attempt, witness)
    return type(verdict).__name__


def work(ledger: Ledger, attempt: Attempt, witness: Path) -> None:
    """Be inside: fails when another process is."""
    os.close(os.open(witness, os.O_CREAT | os.O_EXCL))
    title = ledger.executions.get(attempt.execution_id).title
    with witness.with_suffix(".log").open("a") as log:
        log.write(f"{title}\n")
    ledger.executions.begin_action(attempt, "Deploy", "deploy", 1)
    ledger.executions.end_action(attempt, "Deploy", "deploy", 1, Status.SUCCEEDED)
    witness.unlink()
    ledger.executions.end_stage(attempt, "Deploy", Status.SUCCEEDED)
    ledger.executions.end(attempt, Status.SUCCEEDED)


if __name__ == "__main__":
    url, file = sys.argv[1:]
    with Ledger(url) as opened:
        print("ready", flush=True)
        for line in sys.stdin:
            claim = opened.executions.claim(line.strip(), holder=this_holder(), ttl=600)
            print(race(opened, claim, Path(file)), flush=True)
