import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from prefect_delivery.errors import LedgerError, Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.schema import VERSION_TABLE
from prefect_delivery.ledger.tables import metadata


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.db"


@pytest.fixture
def locked(file: Path) -> Iterator[Path]:
    """The file of a ledger that somebody else is writing to."""
    Ledger(f"sqlite:///{file}").close()
    raw = sqlite3.connect(file, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    yield file
    raw.close()


def test_the_ledger_of_the_settings_is_made_with_its_folder(home: Path) -> None:
    with Ledger.open() as ledger:
        ledger.environments.register("production", "host", {})

    with Ledger.open() as again:
        assert len(again.environments.list()) == 1
    assert (home / "ledger.db").is_file()


def test_only_its_owner_can_read_a_ledger(file: Path) -> None:
    with Ledger(f"sqlite:///{file}") as ledger:
        ledger.environments.register("production", "host", {})

        modes = {path.suffix: path.stat().st_mode for path in file.parent.iterdir()}

    assert modes.keys() == {".db", ".db-shm", ".db-wal"}
    assert {stat.S_IMODE(mode) for mode in modes.values()} == {0o600}


def test_the_migrations_make_the_tables_that_the_code_uses(
    ledger: Ledger, ledger_url: str
) -> None:
    raw = create_engine(ledger_url)

    with raw.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        differences = compare_metadata(context, metadata)

    raw.dispose()
    assert differences == []


def test_opening_a_ledger_that_is_up_to_date_needs_no_migration_code(
    ledger: Ledger, ledger_url: str, python: list[str]
) -> None:
    code = (
        "import sys; from prefect_delivery.ledger import Ledger;"
        "Ledger(sys.argv[1]).close(); sys.exit('alembic' in sys.modules)"
    )

    subprocess.run([*python, "-c", code, ledger_url], check=True)


def test_a_ledger_of_a_newer_version_is_left_alone(
    ledger: Ledger, ledger_url: str
) -> None:
    raw = create_engine(ledger_url)
    with raw.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    raw.dispose()

    with pytest.raises(LedgerError, match="has version 9999, newer than") as error:
        Ledger(ledger_url)

    assert error.value.hint == "upgrade: pip install --upgrade prefect-delivery"


def test_a_file_that_is_not_a_database_is_left_alone(file: Path) -> None:
    file.write_text("greetings " * 1000)

    with pytest.raises(LedgerError, match=r"file\.db is not a database file"):
        Ledger(f"sqlite:///{file}")

    assert file.read_text() == "greetings " * 1000


def test_a_database_of_something_else_is_left_alone(file: Path) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("CREATE TABLE flow_run (id)")
    raw.close()

    with pytest.raises(LedgerError, match="holds something else") as error:
        Ledger(f"sqlite:///{file}")

    assert error.value.hint == "give the ledger a file of its own"


def test_a_damaged_ledger_says_so(file: Path) -> None:
    with Ledger(f"sqlite:///{file}") as ledger:
        ledger.environments.register("production", "host", {})
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)

    with pytest.raises(LedgerError, match="is damaged"):
        Ledger(f"sqlite:///{file}").environments.list()


def test_a_writer_that_waits_too_long_says_for_whom(locked: Path) -> None:
    with (
        Ledger(f"sqlite:///{locked}", patience=0.05) as ledger,
        pytest.raises(LedgerError, match="is locked by another process"),
    ):
        ledger.leases.take("production", holder="ann", ttl=30)


def test_readers_do_not_wait_for_a_writer(locked: Path) -> None:
    with Ledger(f"sqlite:///{locked}", patience=0.05) as ledger:
        assert ledger.executions.list() == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nowhere/file\.db cannot be opened"):
        Ledger(f"sqlite:///{tmp_path}/nowhere/file.db")


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/database"]
)
def test_other_urls_are_refused_with_those_that_work(url: str) -> None:
    with pytest.raises(LedgerError) as error:
        Ledger(url)

    assert error.value.hint is not None
    assert error.value.hint.startswith("use sqlite:///file.db or postgresql+psycopg://")


def test_a_password_is_never_shown() -> None:
    with pytest.raises(LedgerError, match="cannot be reached") as error:
        Ledger("postgresql+psycopg://ann:s3cret@127.0.0.1:1/ledger")

    assert "s3cret" not in str(error.value)


def test_an_error_of_the_caller_leaves_nothing_half_written(ledger: Ledger) -> None:
    with pytest.raises(Refused):
        ledger.environments.unlock("production", by="ann", reason="to be sure")

    assert ledger.environments.list() == []
