"""Rollouts and their journal: intent before each effect, outcome after it."""

from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.environments import Repair, known_environment, unlock
from prefect_delivery.ledger.leases import held
from prefect_delivery.ledger.quarantine import found_bad, put, refuse_quarantined
from prefect_delivery.ledger.records import Lease, Rollout, RolloutKind, Step
from prefect_delivery.ledger.tables import (
    environments,
    executions,
    releases,
    rollouts,
    steps,
)

Closed = Literal["committed", "rolled-back", "rollback-failed", "held"]
AUTOMATIC = "automatic-rollback"
"""Trigger of the executions that go back without anybody asking for it."""
_LOCKING = {"rollback-failed": "a rollback failed", "held": "held"}


class Rollouts(Room):
    """Every rollout into every environment.

    Each change needs the environment's lease, and raises `LeaseLost`, changing nothing,
    when it is held no more. One rollout is changed under one lease name only.
    """

    @writes
    def open(
        self,
        tx: Transaction,
        lease: Lease,
        *,
        environment: str,
        release: str,
        previous: str | None,
        execution_id: str,
        kind: RolloutKind,
        repair: Repair | None = None,
    ) -> Rollout:
        """Begin a rollout.

        Args:
            release: Digest of the release that goes in.
            previous: Digest of the release to go back to; None for none.
            repair: Who unlocks the environment with it, and why.

        Raises:
            Refused: The environment has an unfinished rollout or is locked, or there
                is no such release, or it is in quarantine there.
        """
        held(tx, lease)
        if repair is not None:
            unlock(tx, environment, by=repair.by, reason=repair.reason)
        _check_free(tx, environment)
        if tx.execute(select(releases).filter_by(digest=release)).first() is None:
            raise Refused(f"there is no release {release}")
        if release != previous:
            refuse_quarantined(tx, environment, release)
        # Whichever way it ends, a release runs again.
        change = update(environments).filter_by(name=environment)
        tx.execute(change.values(stopped=None))
        last = tx.execute(select(func.max(rollouts.c.position))).scalar() or 0
        rollout_id = uuid4().hex
        tx.execute(
            insert(rollouts).values(
                id=rollout_id,
                position=last + 1,
                lease=lease.name,
                environment=environment,
                release=release,
                previous=previous,
                execution_id=execution_id,
                kind=kind,
                status="open",
                opened=tx.now,
            )
        )
        tx.audit(
            lease.holder,
            "open rollout",
            environment,
            rollout=rollout_id,
            release=release,
            previous=previous,
            execution=execution_id,
            kind=kind,
            token=lease.token,
        )
        return _load(tx.connection, select(rollouts).filter_by(id=rollout_id))[0]

    @writes
    def reopen(
        self, tx: Transaction, lease: Lease, rollout_id: str, repair: Repair
    ) -> None:
        """Go on with a rollout that is held, or whose way back has failed.

        Raises:
            Refused: It is neither, or another has changed the environment since.
        """
        held(tx, lease)
        row = tx.execute(select(rollouts).filter_by(id=rollout_id)).one()
        latest = (
            select(rollouts.c.id)
            .filter_by(environment=row.environment)
            .order_by(rollouts.c.position.desc())
            .limit(1)
        )
        if row.status not in _LOCKING or tx.execute(latest).scalar() != row.id:
            raise Refused(f"there is nothing to repair in {row.environment}")
        unlock(tx, row.environment, by=repair.by, reason=repair.reason)
        values = {"status": "open", "reason": None, "closed": None}
        tx.execute(
            update(rollouts).filter_by(id=rollout_id).values(**values, lease=lease.name)
        )
        _note(tx, lease, "open rollout", row, again=row.status)

    @writes
    def intend(
        self,
        tx: Transaction,
        lease: Lease,
        rollout_id: str,
        verb: str,
        detail: dict[str, Any] = {},
    ) -> int:
        """Write down what is about to be done; returns the step's number.

        Raises:
            Refused: The rollout is closed.
        """
        row = _open_rollout(tx, lease, rollout_id)
        last = select(func.max(steps.c.seq)).where(steps.c.rollout_id == rollout_id)
        seq = (tx.execute(last).scalar() or 0) + 1
        tx.execute(
            insert(steps).values(
                rollout_id=rollout_id,
                seq=seq,
                verb=verb,
                detail=detail,
                intended=tx.now,
            )
        )
        _note(tx, lease, "intend", row, seq=seq, step=verb, detail=detail)
        return seq

    @writes
    def record(
        self, tx: Transaction, lease: Lease, rollout_id: str, seq: int, outcome: str
    ) -> None:
        """Write down what came of a step; the first outcome stays.

        Raises:
            Refused: The rollout is closed, the step was not intended, or it has another
                outcome.
        """
        row = _open_rollout(tx, lease, rollout_id)
        where = {"rollout_id": rollout_id, "seq": seq}
        known = tx.execute(select(steps).filter_by(**where)).first()
        if known is None:
            raise Refused(f"step {seq} of rollout {rollout_id} was not intended")
        if known.outcome == outcome:
            return
        if known.outcome is not None:
            raise Refused(f"step {seq} of rollout {rollout_id} ended: {known.outcome}")
        tx.execute(
            update(steps).filter_by(**where).values(outcome=outcome, ended=tx.now)
        )
        _note(tx, lease, "record", row, seq=seq, outcome=outcome)

    @writes
    def close(
        self,
        tx: Transaction,
        lease: Lease,
        rollout_id: str,
        status: Closed,
        reason: str | None = None,
    ) -> None:
        """End a rollout.

        Args:
            status: `committed` makes its release the environment's current one;
                `rollback-failed` and `held` lock the environment until a person
                unlocks it. A release that was gone back from, or that was found bad
                with traffic, is quarantined.

        Raises:
            Refused: The rollout is closed otherwise.
        """
        row = _open_rollout(tx, lease, rollout_id, done=status)
        if row.status == status:
            return
        tx.execute(
            update(rollouts)
            .filter_by(id=rollout_id)
            .values(status=status, reason=reason, closed=tx.now)
        )
        change = update(environments).filter_by(name=row.environment)
        if status == "committed":
            tx.execute(change.values(current=row.release))
        _note(tx, lease, "close rollout", row, status=status, reason=reason)
        if status in _LOCKING:
            locked = reason or _LOCKING[status]
            tx.execute(change.values(locked=locked))
            _note(tx, lease, "lock environment", row, reason=locked, why=status)
        _quarantine(tx, lease, row, status, reason)

    def unfinished(self, environment: str | None = None) -> list[Rollout]:
        """Open rollouts, the oldest first."""
        query = select(rollouts).filter_by(status="open")
        if environment is not None:
            query = query.filter_by(environment=environment)
        with self._database.read() as connection:
            return _load(connection, query.order_by(rollouts.c.position))

    def get(self, rollout_id: str) -> Rollout:
        """The rollout as it is now.

        Raises:
            Refused: There is none of that id.
        """
        with self._database.read() as connection:
            found = _load(connection, select(rollouts).filter_by(id=rollout_id))
        if not found:
            raise Refused(f"there is no rollout {rollout_id}")
        return found[0]

    def of_execution(self, execution_id: str) -> list[Rollout]:
        """Rollouts that an execution has begun, the oldest first."""
        query = select(rollouts).filter_by(execution_id=execution_id)
        with self._database.read() as connection:
            return _load(connection, query.order_by(rollouts.c.position))

    def committed(self, environment: str, limit: int = 20) -> list[Rollout]:
        """Rollouts that have changed what an environment runs, the newest first."""
        query = (
            select(rollouts)
            .filter_by(environment=environment, status="committed")
            .order_by(rollouts.c.position.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return _load(connection, query)

    def history(self, environment: str, limit: int = 20) -> list[Rollout]:
        """Rollouts into an environment, the newest first."""
        query = (
            select(rollouts)
            .filter_by(environment=environment)
            .order_by(rollouts.c.position.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return _load(connection, query)


def _check_free(tx: Transaction, environment: str) -> None:
    state = known_environment(tx, environment)
    if state.locked is not None:
        raise Refused(
            f"environment '{environment}' is locked: {state.locked}",
            hint=f"deliver env repair {environment} --help, or: deliver env unlock"
            f" {environment} -m REASON",
        )
    unfinished = tx.execute(
        select(rollouts.c.id).filter_by(environment=environment, status="open")
    ).scalar()
    if unfinished:
        raise Refused(
            f"environment '{environment}' has an unfinished rollout, {unfinished}",
            hint="deliver reconcile",
        )


def _quarantine(
    tx: Transaction, lease: Lease, row: Row[Any], status: Closed, reason: str | None
) -> None:
    """Keep out what was gone back from, and what was found bad with traffic."""
    if row.previous == row.release:
        return
    if status == "committed" and row.kind == "rollback" and row.previous:
        if not _is_newer(tx, row.previous, row.release):
            return
        query = select(executions.c.trigger, executions.c.started_by)
        asked = tx.execute(query.filter_by(id=row.execution_id)).first()
        put(
            tx,
            row.environment,
            row.previous,
            by=asked.started_by if asked else lease.holder,
            reason="it was rolled back",
            instead=row.release,
            automatic=asked is not None and asked.trigger == AUTOMATIC,
        )
    elif status in {"rolled-back", "rollback-failed"} and row.kind == "forward":
        journal = select(steps).filter_by(rollout_id=row.id).order_by(steps.c.seq)
        if found_bad([_step(step) for step in tx.execute(journal)]):
            put(
                tx,
                row.environment,
                row.release,
                by=lease.holder,
                reason=reason or "it failed",
                instead=row.previous,
                automatic=True,
            )


def _is_newer(tx: Transaction, one: str, other: str) -> bool:
    made = {
        row.digest: row.created
        for row in tx.execute(
            select(releases).where(releases.c.digest.in_([one, other]))
        )
    }
    return bool(made[one] >= made[other])


def _open_rollout(
    tx: Transaction, lease: Lease, rollout_id: str, *, done: str = "open"
) -> Row[Any]:
    held(tx, lease)
    row = tx.execute(select(rollouts).filter_by(id=rollout_id)).first()
    if row is None:
        raise Refused(f"there is no rollout {rollout_id}")
    if row.lease != lease.name:
        raise LeaseLost(f"rollout {rollout_id} needs '{row.lease}', not '{lease.name}'")
    if row.status not in {"open", done}:
        raise Refused(f"rollout {rollout_id} is closed: {row.status}")
    return row


def _note(
    tx: Transaction, lease: Lease, verb: str, rollout: Row[Any], **detail: object
) -> None:
    detail |= {"rollout": rollout.id, "token": lease.token}
    tx.audit(lease.holder, verb, rollout.environment, **detail)


def _load(connection: Connection, query: Select[Any]) -> list[Rollout]:
    rows = connection.execute(query).all()
    journal: dict[str, list[Step]] = {row.id: [] for row in rows}
    if not journal:
        return []
    for step in connection.execute(
        select(steps).where(steps.c.rollout_id.in_(journal)).order_by(steps.c.seq)
    ):
        journal[step.rollout_id].append(_step(step))
    return [_rollout(row, journal[row.id]) for row in rows]


def _step(row: Row[Any]) -> Step:
    fields = row._asdict()
    del fields["rollout_id"]
    return Step(**fields)


def _rollout(row: Row[Any], journal: list[Step]) -> Rollout:
    fields = row._asdict()
    del fields["position"], fields["lease"]
    return Rollout(**fields, steps=tuple(journal))
