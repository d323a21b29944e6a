"""How the two databases are opened, and what their errors mean to a person."""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from prefect_delivery.errors import LedgerError

KEPT = 1
"""Connections that a process keeps open. Each run of a pipeline is a process, and a
server has some hundred connections for all of them."""
MORE = 4
"""That it may have beside those for a moment. Writers wait for each other anyway."""


def connect(url: str, *, patience: float) -> Engine:
    """Make the engine for a ledger at `url`; nothing is connected yet.

    Args:
        patience: Seconds to wait for another writer.

    Raises:
        LedgerError: The URL is none, or of a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerError("the ledger's URL cannot be read", hint=_URLS) from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return _sqlite(parsed, patience)
        case "postgresql":
            return _postgresql(parsed, patience)
        case name:
            raise LedgerError(f"the ledger cannot live in {name}", hint=_URLS)


_URLS = "use sqlite:///file.db or postgresql+psycopg://user@host/database"


def _sqlite(url: URL, patience: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": patience, "uri": False})
    path = Path(url.database or "")

    @event.listens_for(engine, "do_connect")
    def create_private(*_: object) -> None:
        # SQLite gives its other files the mode of this one.
        with suppress(FileExistsError, FileNotFoundError, PermissionError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        # The driver's own BEGIN would come late and never be IMMEDIATE.
        connection.isolation_level = None
        _use_wal(connection, patience)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite's own timeout does not cover two that switch a new file at once.
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _postgresql(url: URL, patience: float) -> Engine:
    wait = max(1, round(patience * 1000))
    # A frozen process must not keep the writer's lock: the server ends its session.
    options = (
        f"{url.query.get('options', '')} -c timezone=UTC -c lock_timeout={wait}"
        f" -c idle_in_transaction_session_timeout={wait}"
    )
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=KEPT,
        max_overflow=MORE,
        connect_args={"connect_timeout": 10, "options": options},
    )


def described(error: SQLAlchemyError, name: str) -> LedgerError:
    """Say what went wrong with the ledger called `name`, and what to do."""
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split())
    for sign, message, hint in _SIGNS:
        if sign in said:
            return LedgerError(message.format(name=name), hint=hint)
    kind = "reached" if isinstance(error, OperationalError) else "used"
    return LedgerError(f"the ledger {name} cannot be {kind}: {said}")


_SIGNS = [
    (
        "database is locked",
        "the ledger {name} is locked by another process",
        "try again; `fuser` on the file names who has it open",
    ),
    (
        "lock timeout",
        "the ledger {name} is locked by another process",
        "try again; the server's view pg_locks names who has the lock",
    ),
    (
        "file is not a database",
        "the ledger {name} is not a database file",
        "restore it from a backup, or move it away to begin a new one",
    ),
    (
        "malformed",
        "the ledger {name} is damaged",
        "restore it from a backup; `sqlite3 FILE .recover` may save what is left",
    ),
    (
        "disk is full",
        "no space left for the ledger {name}; nothing was written",
        "free some space, then try again",
    ),
    (
        "No space left",
        "no space left for the ledger {name}; nothing was written",
        "free some space on the server, then try again",
    ),
    (
        "readonly database",
        "the ledger {name} cannot be written",
        "check the owner and mode of the file and its folder",
    ),
    (
        "unable to open",
        "the ledger {name} cannot be opened",
        "check that its folder exists and who may read it",
    ),
]
