"""Which version of the schema a ledger has, and how it gets the newest."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger.database import Database, Transaction

REVISION: Final = "0002"
"""The newest migration; the migrations count up."""

VERSION_TABLE: Final = "ledger_version"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


def bring_up_to_date(database: Database) -> None:
    """Create or migrate the tables; cheap when there is nothing to do.

    Raises:
        LedgerError: The ledger is of a newer version, or not a ledger.
    """
    with database.read() as connection:
        found = _revision(connection, database.name)
    if found != REVISION:
        database.write(lambda tx: _upgrade(tx, database.name))


def _revision(connection: Connection, name: str) -> str | None:
    found = _stored_revision(connection, name)
    if found and found > REVISION:
        raise LedgerError(
            f"the ledger {name} has version {found}, newer than this"
            f" prefect-delivery can read ({REVISION})",
            hint="upgrade: pip install --upgrade prefect-delivery",
        )
    return found


def _stored_revision(connection: Connection, name: str) -> str | None:
    tables = inspect(connection)
    if tables.has_table(VERSION_TABLE):
        found: str | None = connection.execute(
            text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 (a constant)
        ).scalar()
        return found
    if connection.dialect.name == "sqlite" and tables.get_table_names():
        raise LedgerError(
            f"the database {name} holds something else",
            hint="give the ledger a file of its own",
        )
    return None


def _upgrade(tx: Transaction, name: str) -> None:
    # Another process may have been faster while we waited for the lock.
    if _revision(tx.connection, name) == REVISION:
        return
    # Alembic takes longer to import than a ledger to open.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = tx.connection
    command.upgrade(config, "head")
