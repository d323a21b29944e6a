"""Leases: the right to change something, for one holder at a time."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, insert, select, update

from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Lease, later, never
from prefect_delivery.ledger.tables import leases


class Leases(Room):
    """Every lease that was ever taken, by name."""

    @writes
    def take(
        self,
        tx: Transaction,
        name: str,
        *,
        holder: str,
        ttl: float,
        dead: Callable[[str], bool] = never,
    ) -> Lease:
        """Take a lease that is free, expired, or of a holder that is dead.

        Args:
            ttl: Seconds until the lease may be taken over, unless it is renewed.
            dead: Whether a holder is certainly gone.

        Raises:
            Refused: Somebody has it, the same holder included; names the holder.
        """
        row = _row(tx, name)
        if row is None:
            tx.execute(insert(leases).values(name=name, token=0))
        elif row.holder and row.expires > tx.now and not dead(row.holder):
            raise Refused(
                f"'{name}' is being changed by {row.holder}"
                f" until {row.expires:%Y-%m-%d %H:%M:%S} UTC at least",
                hint="wait for it to end, then try again",
            )
        lease = Lease(
            name=name,
            holder=holder,
            token=row.token + 1 if row else 1,
            ttl=ttl,
            expires=later(tx.now, ttl),
        )
        _set(tx, name, token=lease.token, holder=holder, expires=lease.expires)
        before = row.holder if row else None
        tx.audit(holder, "take lease", name, token=lease.token, before=before)
        return lease

    @writes
    def renew(self, tx: Transaction, lease: Lease) -> None:
        """Keep the lease for another `ttl` seconds; not an event of the audit log.

        Raises:
            LeaseLost: Somebody else has it, or it was released. One that expired, but
                that nobody took, is renewed.
        """
        held(tx, lease)
        _set(tx, lease.name, expires=later(tx.now, lease.ttl))

    @writes
    def release(self, tx: Transaction, lease: Lease) -> None:
        """Give the lease back; nothing happens when it was lost before."""
        if _is_held(_row(tx, lease.name), lease):
            _set(tx, lease.name, holder=None, expires=None)
            tx.audit(lease.holder, "release lease", lease.name, token=lease.token)

    def check(self, lease: Lease) -> None:
        """Make sure that nobody else has taken the lease.

        Raises:
            LeaseLost: Somebody else has it, or it was released.
        """
        query = select(leases).where(leases.c.name == lease.name)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if not _is_held(row, lease):
            raise _lost(row, lease)

    def held(self) -> list[Lease]:
        """Leases that were not released; some may have expired since."""
        query = select(leases).where(leases.c.holder.is_not(None))
        with self._database.read() as connection:
            now = self._database.time(connection)
            return [
                Lease(
                    name=row.name,
                    holder=row.holder,
                    token=row.token,
                    ttl=max(0.0, (row.expires - now).total_seconds()),
                    expires=row.expires,
                )
                for row in connection.execute(query.order_by(leases.c.name))
            ]


def held(tx: Transaction, lease: Lease) -> None:
    """Make sure, for the whole transaction, that `lease` is held.

    Raises:
        LeaseLost: Somebody else has it, or it was released.
    """
    row = _row(tx, lease.name)
    if not _is_held(row, lease):
        raise _lost(row, lease)


def _row(tx: Transaction, name: str) -> Row[Any] | None:
    return tx.execute(select(leases).where(leases.c.name == name)).first()


def _is_held(row: Row[Any] | None, lease: Lease) -> bool:
    return bool(row and row.token == lease.token and row.holder is not None)


def _lost(row: Row[Any] | None, lease: Lease) -> LeaseLost:
    taken = row is not None and row.holder is not None
    now = f"{row.holder} has it now" if row and taken else "it was released"
    return LeaseLost(f"lease {lease.token} of '{lease.name}' is lost: {now}")


def _set(tx: Transaction, name: str, **values: object) -> None:
    tx.execute(update(leases).where(leases.c.name == name).values(**values))
