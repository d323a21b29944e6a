"""Who may carry an execution on: one owner at a time, told apart by a growing number."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Update, select, update

from prefect_delivery.engine.state import Status
from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Attempt, Owner, Unattended, later, never
from prefect_delivery.ledger.tables import executions


class Claims(Room):
    """Claims on executions."""

    @writes
    def claim(
        self,
        tx: Transaction,
        execution_id: str,
        *,
        holder: str,
        ttl: float,
        dead: Callable[[str], bool] = never,
        flow_run: str | None = None,
        deployed: bool = False,
    ) -> Attempt:
        """Become the owner of an execution; whoever owned it before can write no more.

        Args:
            ttl: Seconds until the claim may be taken over, unless it is renewed.
            dead: Whether a holder is certainly gone; its claim is taken over at once.
            flow_run: Id of the Prefect flow run that carries the execution on, if any.
            deployed: Whether a worker carries that run out, again if asked.

        Raises:
            Refused: Another live holder owns it, or it has ended.
        """
        row = row_of(tx, execution_id)
        if Status(row.status).ended:
            raise Refused(
                f"{title(row)} has ended: {row.status}",
                hint=f"deliver retry {row.pipeline}",
            )
        if _held_by_another(row, holder, tx, dead):
            raise Refused(
                f"{title(row)} is being run by {row.holder}"
                f" until {row.expires:%Y-%m-%d %H:%M:%S} UTC at least",
                hint=f"deliver status {row.pipeline} {row.number} --watch",
            )
        attempt = Attempt(
            execution_id=execution_id,
            number=row.attempt + 1,
            holder=holder,
            ttl=ttl,
            expires=later(tx.now, ttl),
        )
        # In one step with the claim: whoever dies next is carried on by that run.
        run = {"flow_run": flow_run, "deployed": deployed} if flow_run else {}
        tx.execute(
            _change(execution_id).values(
                attempt=attempt.number, holder=holder, expires=attempt.expires, **run
            )
        )
        tx.audit(
            holder,
            "claim",
            title(row),
            attempt=attempt.number,
            before=row.holder,
            flow_run=flow_run,
        )
        return attempt

    @writes
    def renew(self, tx: Transaction, attempt: Attempt) -> None:
        """Keep the claim for another `ttl` seconds; not an event of the audit log.

        Raises:
            LeaseLost: Somebody else has claimed the execution, or it was given back.
        """
        owned(tx, attempt)
        tx.execute(
            _change(attempt.execution_id).values(expires=later(tx.now, attempt.ttl))
        )

    @writes
    def leave(self, tx: Transaction, attempt: Attempt) -> None:
        """Give the claim back; nothing happens when it was lost before."""
        row = row_of(tx, attempt.execution_id)
        if owns(row, attempt):
            tx.execute(
                _change(row.id).values(holder=None, expires=None, left_at=tx.now)
            )
            tx.audit(attempt.holder, "leave", title(row), attempt=attempt.number)

    def owner(self, execution_id: str) -> Owner | None:
        """Who has claimed the execution, also when the claim has expired since."""
        query = select(executions.c.holder, executions.c.expires).where(
            executions.c.id == execution_id
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None or row.holder is None:
                return None
            expired = row.expires <= self._database.time(connection)
        return Owner(holder=row.holder, expires=row.expires, expired=expired)

    def silence(self, execution_id: str) -> float:
        """Seconds for which nobody has owned an execution that nobody owns."""
        query = select(executions).where(executions.c.id == execution_id)
        with self._database.read() as connection:
            row = connection.execute(query).one()
            return _unattended(row, self._database.time(connection)).silent

    def unattended(self, pipeline: str | None = None) -> list[Unattended]:
        """Deployed executions that are open and left, or whose claim has run out."""
        query = select(
            executions.c.id,
            executions.c.flow_run,
            executions.c.holder,
            executions.c.expires,
            executions.c.left_at,
            executions.c.started,
        ).where(executions.c.ended.is_(None), executions.c.deployed)
        if pipeline is not None:
            query = query.where(executions.c.pipeline == pipeline)
        with self._database.read() as connection:
            now = self._database.time(connection)
            return [
                _unattended(row, now)
                for row in connection.execute(query.order_by(executions.c.started))
                if row.holder is None or row.expires <= now
            ]

    def has_deployed(self, pipeline: str | None = None) -> bool:
        """Whether a worker of Prefect's has ever carried out an execution."""
        query = select(executions.c.id).where(executions.c.deployed).limit(1)
        if pipeline is not None:
            query = query.where(executions.c.pipeline == pipeline)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def by_flow_run(self, flow_runs: Sequence[str]) -> dict[str, str]:
        """Ids of the executions that these flow runs drive, by flow run."""
        query = select(executions.c.flow_run, executions.c.id).where(
            executions.c.flow_run.in_(flow_runs)
        )
        with self._database.read() as connection:
            return {row.flow_run: row.id for row in connection.execute(query)}


def _unattended(row: Row[Any], now: datetime) -> Unattended:
    since = row.expires if row.holder else row.left_at or row.started
    return Unattended(
        execution_id=row.id,
        flow_run=row.flow_run,
        holder=row.holder,
        silent=(now - since).total_seconds(),
    )


def row_of(tx: Transaction, execution_id: str) -> Row[Any]:
    """The execution's row.

    Raises:
        Refused: There is none of that id.
    """
    row = tx.execute(select(executions).where(executions.c.id == execution_id)).first()
    if row is None:
        raise Refused(f"there is no execution {execution_id}", hint="deliver history")
    return row


def owned(tx: Transaction, attempt: Attempt) -> Row[Any]:
    """The row of the execution that `attempt` owns.

    Raises:
        LeaseLost: It owns it no more.
    """
    row = row_of(tx, attempt.execution_id)
    if not owns(row, attempt):
        owner = (
            f"{row.holder} runs it now" if row.holder else "the claim was given back"
        )
        raise LeaseLost(f"attempt {attempt.number} lost {title(row)}: {owner}")
    return row


def owns(row: Row[Any], attempt: Attempt) -> bool:
    """Whether `attempt` is the execution's owner; an expired one is, until replaced."""
    return bool(row.attempt == attempt.number and row.holder is not None)


def title(row: Row[Any]) -> str:
    """What people call the execution."""
    return f"{row.pipeline} #{row.number}"


def _change(execution_id: str) -> Update:
    return update(executions).where(executions.c.id == execution_id)


def _held_by_another(
    row: Row[Any], holder: str, tx: Transaction, dead: Callable[[str], bool]
) -> bool:
    if row.holder is None or row.holder == holder or row.expires <= tx.now:
        return False
    return not dead(row.holder)
