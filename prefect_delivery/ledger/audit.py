"""The audit log: who did what and when, in an order that cannot be rewritten unseen."""

import json
from typing import Any

from sqlalchemy import Row, select

from prefect_delivery.errors import LedgerError, Refused
from prefect_delivery.ledger import chain
from prefect_delivery.ledger.database import Room
from prefect_delivery.ledger.records import Entry
from prefect_delivery.ledger.tables import audit


class BrokenChain(LedgerError):
    """The audit log is not what was written.

    Attributes:
        entry: Number of the first entry that is wrong or missing.
    """

    def __init__(self, message: str, entry: int, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.entry = entry


class Audit(Room):
    """The audit log. Every change of the ledger writes to it in its own transaction."""

    def entries(
        self, limit: int = 100, *, subject: str | None = None, actor: str | None = None
    ) -> list[Entry]:
        """The newest entries, the newest first.

        Args:
            subject: Only of this subject and of what belongs to it: `shop #42` and
                `shop #42 / Build`.
            actor: Only of what this person or process did.
        """
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if subject is not None:
            part = audit.c.subject.startswith(f"{subject} / ", autoescape=True)
            query = query.where((audit.c.subject == subject) | part)
        if actor is not None:
            query = query.filter_by(actor=actor)
        with self._database.read() as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def get(self, number: int) -> Entry:
        """One entry.

        Raises:
            Refused: There is none of that number.
        """
        query = select(audit).filter_by(seq=number)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise Refused(f"there is no entry {number}", hint="deliver audit list")
        return entry_of(row)

    def verify(self, holds: str | None = None) -> None:
        """Recompute the whole chain.

        An attacker who may write to the database can still cut off the newest entries,
        or rewrite all that follow: keep the newest hash elsewhere to notice that.

        Args:
            holds: Hash that the log had once, and must have still.

        Raises:
            BrokenChain: An entry was changed, removed or put in; names the first one.
                Or the log has no entry of that hash.
        """
        previous, expected = chain.FIRST, 1
        query = select(audit).order_by(audit.c.seq).execution_options(yield_per=1000)
        with self._database.read() as connection:
            for row in connection.execute(query):
                if not _follows(row, previous, expected):
                    raise BrokenChain(
                        f"the audit log is broken at entry {expected}",
                        expected,
                        hint="compare it with a backup; somebody has changed the log",
                    )
                previous, expected = row.hash, expected + 1
            if holds is not None and not chain.holds(connection, holds):
                raise BrokenChain(
                    f"the audit log, of {expected - 1} entries, has none of hash {holds}",
                    expected,
                    hint="compare it with a backup; its newest entries were cut off",
                )


def _follows(row: Row[Any], previous: str, seq: int) -> bool:
    fields = row._asdict()
    found = (fields["seq"], fields["previous"], fields["hash"])
    return found == (seq, previous, chain.hash_of(previous, fields))


def entry_of(row: Row[Any]) -> Entry:
    """The entry that a row holds."""
    fields = row._asdict()
    del fields["previous"]
    return Entry(**fields | {"detail": json.loads(fields["detail"])})
