"""Why and how long stages have waited to be entered."""

import builtins
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from prefect_delivery.ledger.database import Room, Transaction
from prefect_delivery.ledger.records import Waited, WaitKind
from prefect_delivery.ledger.tables import waits


class Waits(Room):
    """Every wait before a stage; `Gates.enter_stage` is what notes them."""

    def list(self, execution_id: str) -> builtins.list[Waited]:
        """What an execution has waited for, the oldest first."""
        query = select(waits).filter_by(execution_id=execution_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(waits.c.since, waits.c.seq))
            return [_waited(row) for row in rows]


def note_wait(
    tx: Transaction,
    execution_id: str,
    stage: str,
    kind: WaitKind,
    reason: str,
    *,
    since: datetime | None = None,
) -> None:
    """Note why a stage waits from now on; what it has waited for before is over.

    Args:
        since: Of a wait that is over already, when it began.
    """
    end_waits(tx, execution_id, stage)
    keys = {"execution_id": execution_id, "stage": stage}
    last = tx.execute(select(func.max(waits.c.seq)).filter_by(**keys)).scalar() or 0
    values = {
        "kind": kind,
        "reason": reason,
        "since": since or tx.now,
        "until": tx.now if since else None,
    }
    tx.execute(insert(waits).values(**keys, seq=last + 1, **values))


def end_waits(tx: Transaction, execution_id: str, stage: str | None = None) -> None:
    """Note that a stage of an execution waits no more, or none of its stages."""
    change = update(waits).filter_by(execution_id=execution_id, until=None)
    if stage is not None:
        change = change.filter_by(stage=stage)
    tx.execute(change.values(until=tx.now))


def _waited(row: Row[Any]) -> Waited:
    fields = row._asdict()
    del fields["execution_id"], fields["seq"]
    return Waited(**fields)
