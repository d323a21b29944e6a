"""What people have said of the approvals that they were asked for."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from prefect_delivery.engine.approvals import Vote
from prefect_delivery.engine.people import key_of
from prefect_delivery.ledger.database import Room, Transaction
from prefect_delivery.ledger.tables import votes


class Votes(Room):
    """Every vote; `Interventions.decide` is what adds one."""

    def list(self, execution_id: str) -> dict[tuple[str, str, int], list[Vote]]:
        """The votes of an execution by stage, action and attempt, the oldest first."""
        with self._database.read() as connection:
            return votes_of(connection, execution_id)


def votes_of(
    connection: Connection, execution_id: str
) -> dict[tuple[str, str, int], list[Vote]]:
    """The votes of an execution by stage, action and attempt, the oldest first."""
    query = select(votes).filter_by(execution_id=execution_id)
    found = defaultdict[tuple[str, str, int], list[Vote]](list)
    for row in connection.execute(query.order_by(votes.c.voted, votes.c.voter)):
        found[row.stage, row.action, row.attempt].append(_vote(row))
    return dict(found)


def put(tx: Transaction, keys: dict[str, Any], vote: Vote) -> None:
    """Record a vote in place of what the same person said before."""
    keys = {**keys, "voter": key_of(vote.person)}
    tx.execute(delete(votes).filter_by(**keys))
    tx.execute(
        insert(votes).values(
            **keys,
            person=vote.person,
            approved=vote.approved,
            comment=vote.comment,
            voted=vote.when,
            groups=[*vote.groups],
            fingerprint=vote.fingerprint,
        )
    )


def _vote(row: Row[Any]) -> Vote:
    return Vote(
        person=row.person,
        approved=row.approved,
        comment=row.comment,
        when=row.voted,
        groups=tuple(row.groups),
        fingerprint=row.fingerprint,
    )
