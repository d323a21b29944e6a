"""Environments: what runs there, and whether anything may be rolled out."""

import builtins
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from prefect_delivery.errors import Refused
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.leases import held
from prefect_delivery.ledger.records import EnvironmentState, Lease
from prefect_delivery.ledger.tables import environments


@dataclass(frozen=True)
class Repair:
    """Who repairs a locked environment, and why."""

    by: str
    reason: str


class Environments(Room):
    """Every environment that was ever registered or deployed to."""

    def get(self, name: str) -> EnvironmentState:
        """What is known of one environment.

        Args:
            name: Its name; that of a pipeline's own may leave out the pipeline, as long
                as only one is meant: `production` for `shop/production`.

        Raises:
            Refused: There is none of that name, or several; names those there are.
        """
        known = {state.name: state for state in self.list()}
        if name in known:
            return known[name]
        meant = [state for state in known.values() if state.name.endswith(f"/{name}")]
        if len(meant) == 1:
            return meant[0]
        there = ", ".join(state.name for state in meant) or ", ".join(known)
        problem = (
            "there are several environments" if meant else "there is no environment"
        )
        raise Refused(f"{problem} '{name}'", hint=f"there are: {there or 'none yet'}")

    @writes
    def register(
        self, tx: Transaction, name: str, kind: str, configuration: dict[str, Any]
    ) -> None:
        """Note an environment, or how its configuration has changed."""
        values = {"kind": kind, "configuration": configuration}
        known = known_environment(tx, name)
        if (known.kind, known.configuration) == (kind, configuration):
            return
        tx.execute(update(environments).filter_by(name=name).values(values))
        tx.audit(this_holder(), "register environment", name, **values)

    @writes
    def unlock(self, tx: Transaction, name: str, *, by: str, reason: str) -> None:
        """Allow rollouts again.

        Raises:
            Refused: It is not locked.
        """
        unlock(tx, name, by=by, reason=reason)

    @writes
    def note_stopped(
        self, tx: Transaction, lease: Lease, *, by: str, reason: str
    ) -> None:
        """Note that what runs in the lease's environment is being stopped.

        Raises:
            LeaseLost: Somebody else has taken the environment over.
        """
        held(tx, lease)
        note = f"{by}: {reason}"
        tx.execute(update(environments).filter_by(name=lease.name).values(stopped=note))
        detail = {"reason": reason, "token": lease.token}
        tx.audit(by, "stop environment", lease.name, **detail)

    def list(self) -> builtins.list[EnvironmentState]:
        """Environments in alphabetical order."""
        query = select(environments).order_by(environments.c.name)
        with self._database.read() as connection:
            return [_state(row) for row in connection.execute(query)]


def unlock(tx: Transaction, name: str, *, by: str, reason: str) -> None:
    """Allow rollouts again.

    Raises:
        Refused: The environment is not locked.
    """
    row = tx.execute(select(environments).filter_by(name=name)).first()
    if row is None or row.locked is None:
        raise Refused(f"environment '{name}' is not locked")
    tx.execute(update(environments).filter_by(name=name).values(locked=None))
    tx.audit(by, "unlock environment", name, reason=reason, locked=row.locked)


def known_environment(tx: Transaction, name: str) -> EnvironmentState:
    """The environment's state; one that nobody has registered yet begins empty."""
    query = select(environments).filter_by(name=name)
    row = tx.execute(query).first()
    if row is None:
        tx.execute(
            insert(environments).values(
                name=name, kind="", configuration={}, registered=tx.now
            )
        )
        row = tx.execute(query).one()
    return _state(row)


def _state(row: Row[Any]) -> EnvironmentState:
    return EnvironmentState(
        name=row.name,
        kind=row.kind,
        configuration=row.configuration,
        current=row.current,
        locked=row.locked,
        stopped=row.stopped,
    )
