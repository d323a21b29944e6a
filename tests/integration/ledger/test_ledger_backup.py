"""A ledger comes back from a backup: by PostgreSQL's own programs, and by SQLite's."""

import sqlite3
import subprocess
from pathlib import Path
from uuid import uuid4

import psycopg
from postgresql import Server

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.ledger import Ledger

SHOP = Pipeline.model_validate(
    {
        "pipeline": "shop",
        "stages": {"Source": {"actions": {"app": {"uses": "source/git"}}}},
    }
)


def fill(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.executions.start(SHOP, variables={}, started_by="ann")
    ledger.environments.register("production", "host", {"root": "site"})


def is_whole(ledger: Ledger) -> bool:
    """Whether all is there, the chain verifies, and work goes on."""
    ledger.audit.verify()
    known = [each.number for each in ledger.executions.list("shop")]
    went_on = ledger.executions.start(SHOP, variables={}, started_by="ann")
    ledger.audit.verify()
    return (
        known == [3, 2, 1]
        and went_on.number == 4
        and ledger.environments.get("production").configuration == {"root": "site"}
    )


def test_a_dump_of_postgresql_is_the_whole_ledger(
    postgresql: Server, tmp_path: Path
) -> None:
    here, there = f"ledger_{uuid4().hex}", f"restored_{uuid4().hex}"
    for name in (here, there):
        create(postgresql, name)
    with Ledger(url(postgresql, here)) as ledger:
        fill(ledger)
        dump = tmp_path / "ledger.dump"
        run(postgresql, "pg_dump", "--format=custom", f"--file={dump}", here)
        ledger.executions.start(SHOP, variables={}, started_by="ann")

    run(postgresql, "pg_restore", f"--dbname={there}", str(dump))

    with Ledger(url(postgresql, there)) as restored:
        assert is_whole(restored)


def test_a_backup_of_sqlite_is_the_whole_ledger(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        fill(ledger)
        # What `sqlite3 ledger.db ".backup copy.db"` does, while the ledger is open.
        with (
            sqlite3.connect(tmp_path / "ledger.db") as here,
            sqlite3.connect(tmp_path / "copy.db") as there,
        ):
            here.backup(there)
        here.close()
        there.close()
        ledger.executions.start(SHOP, variables={}, started_by="ann")

    with Ledger(f"sqlite:///{tmp_path / 'copy.db'}") as restored:
        assert is_whole(restored)


def url(server: Server, database: str) -> str:
    return f"postgresql+psycopg://delivery@/{database}?host={server.folder}"


def create(server: Server, database: str) -> None:
    where = f"host={server.folder} user=delivery dbname=postgres"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())


def run(server: Server, program: str, *arguments: str) -> None:
    common = [f"--host={server.folder}", "--username=delivery"]
    subprocess.run([server.programs / program, *common, *arguments], check=True)
