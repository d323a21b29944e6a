"""A newer version brings a ledger with its entries up to date; an older one refuses it."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger import Ledger, schema

# The version after the newest is made up here, as it would be written.
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "executions",
        sa.Column("note", sa.Text, nullable=False, server_default="none"),
    )
    op.create_table("notes", sa.Column("id", sa.Text, primary_key=True))
    {more}
"""


def install(folder: Path, patch: pytest.MonkeyPatch, *, more: str = "pass") -> None:
    """Install the next version."""
    shutil.copytree(schema.MIGRATIONS, folder)
    (folder / "versions" / "v0003.py").write_text(NEXT.format(more=more))
    patch.setattr(schema, "MIGRATIONS", folder)
    patch.setattr(schema, "REVISION", "0003")


@pytest.fixture
def started(ledger_url: str) -> str:
    """A ledger's URL, in which an environment is known."""
    with Ledger(ledger_url) as ledger:
        ledger.environments.register("production", "host", {"root": "site"})
    return ledger_url


def test_entries_and_audit_chain_outlive_an_upgrade(
    started: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "migrations", monkeypatch)

    with Ledger(started) as ledger:
        ledger.audit.verify()
        assert ledger.environments.get("production").configuration == {"root": "site"}
        ledger.environments.register("staging", "host", {})
        ledger.audit.verify()
    raw = create_engine(started)
    with raw.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM ledger_version"))
        assert found.scalar() == "0003"
        connection.execute(text("SELECT note FROM executions"))
    raw.dispose()


def test_an_upgrade_that_fails_changes_nothing(started: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path / "migrations", patch, more="raise RuntimeError('cut')")
        with pytest.raises(RuntimeError, match="cut"):
            Ledger(started)

    with Ledger(started) as ledger:
        ledger.audit.verify()
        assert [each.name for each in ledger.environments.list()] == ["production"]
    raw = create_engine(started)
    with raw.connect() as connection, pytest.raises(Exception, match="notes"):
        connection.execute(text("SELECT * FROM notes"))
    raw.dispose()


def test_an_older_version_refuses_an_upgraded_ledger(
    started: str, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path / "migrations", patch)
        Ledger(started).close()

    with pytest.raises(LedgerError, match="newer than this"):
        Ledger(started)
