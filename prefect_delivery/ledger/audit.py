"""The audit log: who did what and when, in an order that cannot be rewritten unseen."""

import json
from typing import Any

from sqlalchemy import Row, select

from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger import chain
from prefect_delivery.ledger.database import Room
from prefect_delivery.ledger.records import Entry
from prefect_delivery.ledger.tables import audit


class Audit(Room):
    """The audit log. Every change of the ledger writes to it in its own transaction."""

    def entries(self, limit: int = 100) -> list[Entry]:
        """The newest entries, the newest first."""
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self) -> None:
        """Recompute the whole chain.

        An attacker who may write to the database can still cut off the newest entries,
        or rewrite all that follow: keep the newest hash elsewhere to notice that.

        Raises:
            LedgerError: An entry was changed, removed or put in; names the first one.
        """
        previous, expected = chain.FIRST, 1
        query = select(audit).order_by(audit.c.seq).execution_options(yield_per=1000)
        with self._database.read() as connection:
            for row in connection.execute(query):
                if not _follows(row, previous, expected):
                    raise LedgerError(
                        f"the audit log is broken at entry {expected}",
                        hint="compare it with a backup; somebody has changed the log",
                    )
                previous, expected = row.hash, expected + 1


def _follows(row: Row[Any], previous: str, seq: int) -> bool:
    fields = row._asdict()
    found = (fields["seq"], fields["previous"], fields["hash"])
    return found == (seq, previous, chain.hash_of(previous, fields))


def _entry(row: Row[Any]) -> Entry:
    fields = row._asdict()
    del fields["previous"]
    return Entry(**fields | {"detail": json.loads(fields["detail"])})
