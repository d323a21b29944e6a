"""Executions that a test moves by hand."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from play import Play

from prefect_delivery.ledger import Ledger


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger to copy, which is faster than to make one."""
    file = tmp_path_factory.mktemp("empty") / "ledger.db"
    Ledger(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def play(tmp_path: Path, empty_ledger: Path) -> Iterator[Play]:
    clock = [datetime(2026, 3, 2, 9, 0, tzinfo=UTC)]
    file = shutil.copy(empty_ledger, tmp_path / "ledger.db")
    with Ledger(f"sqlite:///{file}", now=lambda: clock[0]) as ledger:
        yield Play(ledger, clock)
        ledger.audit.verify()
