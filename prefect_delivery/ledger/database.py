"""Connections, transactions and their failures, the same over SQLite and PostgreSQL.

There is one writer at a time: `BEGIN IMMEDIATE` on SQLite, one advisory lock on
PostgreSQL. The audit chain needs that order anyway, and it makes every read-then-write
right without row locks and retries. Readers see one snapshot and never wait.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

from prefect_delivery.ledger import chain
from prefect_delivery.ledger.engine import connect, described

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Room")

# "delivery" in hexadecimal ASCII, without its first letter to fit 63 bits.
_WRITER_LOCK: Final = 0x656C6976657279


class Transaction:
    """One writing transaction: its connection, its time, its audit entries."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.now = now
        self.proof: str | None = None

    def audit(self, actor: str, verb: str, subject: str, **detail: object) -> None:
        """Add to the audit log what this transaction does."""
        self.proof = chain.append(
            self.connection, self.now, actor, verb, subject, detail
        )


class Database:
    """A ledger's database.

    Args:
        patience: Seconds to wait for another writer, or for a server that went away.
        now: Clock to use instead of the database's own.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: float = 30,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.engine: Engine = connect(url, patience=patience)
        self.name = self.engine.url.render_as_string(hide_password=True)
        self._patience = patience
        self._now = now
        self._server = self.engine.dialect.name == "postgresql"
        self._connected = False
        self._writer = self.engine.execution_options(writing=True)
        self._reader = (
            self.engine.execution_options(isolation_level="REPEATABLE READ")
            if self._server
            else self.engine
        )

    def time(self, connection: Connection) -> datetime:
        """Now: by the server's clock, which all workers share, where there is one."""
        if self._now:
            return self._now()
        if not self._server:
            return datetime.now(UTC)
        # now() would be the start of the transaction, before it waited for the lock.
        moment: datetime = connection.execute(
            text("SELECT clock_timestamp()")
        ).scalar_one()
        return moment.astimezone(UTC)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read from one snapshot.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with (
            self._translated(),
            self._patiently(self._reader.connect) as connection,
            connection.begin(),
        ):
            yield connection

    def write(self, do: Callable[[Transaction], R]) -> R:
        """Run `do` in one transaction; again when the connection to a server broke.

        `do` must change nothing but the database.

        Raises:
            LedgerError: The ledger cannot be written. Nothing was, unless a server went
                away for good in the moment of the commit.
        """
        proof: str | None = None
        result: R

        def once() -> R:
            nonlocal proof, result
            with self._writer.begin() as connection:
                self._lock(connection)
                # The last commit may have succeeded, and its confirmation got lost.
                if proof and chain.holds(connection, proof):
                    return result
                transaction = Transaction(connection, self.time(connection))
                result = do(transaction)
                proof = transaction.proof
            return result

        with self._translated():
            return self._patiently(once)

    def _lock(self, connection: Connection) -> None:
        if self._server:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})"))

    def _patiently(self, act: Callable[[], R]) -> R:
        """Wait for a server that was there and went away: it may come back."""
        deadline, pause = time.monotonic() + self._patience, 0.05
        while True:
            try:
                result = act()
                self._connected = True
                return result
            except DBAPIError as error:
                lost = self._connected and self._server and _is_lost(error)
                if not lost or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 1)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, TimeoutError) as error:
            raise described(error, self.name) from error


def _is_lost(error: DBAPIError) -> bool:
    # Failures to connect are the only ones for which psycopg knows no SQLSTATE.
    no_answer = getattr(error.orig, "sqlstate", None) is None
    return error.connection_invalidated or (
        no_answer and isinstance(error, OperationalError)
    )


class Room:
    """One subject of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database


def writes(
    method: Callable[Concatenate[S, Transaction, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Give a method a writing transaction of its own."""

    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._database.write(lambda tx: method(self, tx, *args, **kwargs))

    return run
