"""Hold an environment's lease for as long as a rollout takes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prefect_delivery.errors import LeaseLost, LedgerError
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Lease, Ledger

TTL = 60.0
"""Seconds that a lease lasts without being renewed."""


@contextmanager
def leased(ledger: Ledger, environment: str, ttl: float = TTL) -> Iterator[Lease]:
    """Take the environment's lease, renew it meanwhile, and give it back.

    Raises:
        Refused: Somebody who lives has it.
    """
    lease = ledger.leases.take(environment, holder=this_holder(), ttl=ttl, dead=is_dead)
    ended = threading.Event()
    renewal = threading.Thread(
        target=_renew, args=(ledger, lease, ended, ttl / 4), daemon=True
    )
    renewal.start()
    try:
        yield lease
    finally:
        ended.set()
        renewal.join()
        # Whoever has taken it over gives it back; what we leave expires.
        with suppress(LeaseLost, LedgerError):
            ledger.leases.release(lease)


def _renew(
    ledger: Ledger, lease: Lease, ended: threading.Event, interval: float
) -> None:
    while not ended.wait(interval):
        try:
            ledger.leases.renew(lease)
        except LeaseLost:
            return  # every step checks the lease itself, and so does the target
        except LedgerError:
            continue  # out of reach for the moment; the lease lasts a while longer
