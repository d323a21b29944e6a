"""A ledger over either database for every test that races for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgresql import Server

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.ledger import Ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a ledger that is yet to be made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def ledger_url(new_ledger: Callable[[], str]) -> str:
    return new_ledger()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as opened:
        yield opened


@pytest.fixture
def shop() -> Pipeline:
    stages = {"Source": {"actions": {"app": {"uses": "source/git"}}}}
    return Pipeline.model_validate({"pipeline": "shop", "stages": stages})
