"""One of several processes that use a ledger at once.

Usage: racer.py URL create | die-creating | start | take | kill | vote | reject

Prints `ready`, waits for a line, acts, and prints what it got.
"""

import os
import signal
import sys

from sqlalchemy import Engine, event

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import Refused
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Ledger

SHOP = Pipeline.model_validate(
    {
        "pipeline": "shop",
        "stages": {"Source": {"actions": {"app": {"uses": "source/git"}}}},
    }
)


def await_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def start(ledger: Ledger) -> None:
    for _ in range(5):
        execution = ledger.executions.start(SHOP, variables={}, started_by="racer")
        print(execution.number, flush=True)


def take(ledger: Ledger) -> None:
    try:
        lease = ledger.leases.take("production", holder=this_holder(), ttl=600)
    except Refused:
        print("refused", flush=True)
    else:
        print(lease.token, flush=True)


def vote(ledger: Ledger, approved: bool = True) -> None:
    """Decide on the approval of the latest execution, each process as somebody else."""
    execution = ledger.executions.find("shop")
    try:
        missing = ledger.executions.decide(
            *(execution.id, "Approve", "run"), by=f"p{os.getpid()}", approved=approved
        )
    except Refused as refused:
        print("late" if "waits no more" in refused.message else "refused", flush=True)
    else:
        print(sum(each.count for each in missing), flush=True)


def reject(ledger: Ledger) -> None:
    vote(ledger, approved=False)


def die_after(statement: str) -> None:
    """Die by SIGKILL as soon as a statement that begins so has been carried out."""

    def die(*details: object) -> None:
        if str(details[2]).lstrip().startswith(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", die)


def kill(ledger: Ledger) -> None:
    """Die by SIGKILL in the midst of a transaction that has written already."""
    die_after("INSERT INTO audit")
    ledger.leases.take("production", holder=this_holder(), ttl=600)


if __name__ == "__main__":
    url, act = sys.argv[1:]
    if act in {"create", "die-creating"}:
        if act == "die-creating":
            die_after("CREATE TABLE rollouts")
        await_start()
        with Ledger(url) as created:
            print(len(created.executions.list()), flush=True)
    else:
        with Ledger(url) as opened:
            await_start()
            acts = {"start": start, "take": take, "kill": kill}
            (acts | {"vote": vote, "reject": reject})[act](opened)
