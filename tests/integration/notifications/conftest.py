"""A ledger whose clock the tests turn, and an endpoint that wants to hear of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from listener import Listener, listening
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_delivery import channels
from prefect_delivery.ledger import Ledger


@pytest.fixture
def clock() -> list[datetime]:
    """The ledger's present, as the only item."""
    return [datetime.now(UTC)]


@pytest.fixture
def ledger(home: Path, clock: list[datetime]) -> Iterator[Ledger]:
    home.mkdir()
    url = f"sqlite:///{home / 'ledger.db'}"
    with Ledger(url, now=lambda: clock[0]) as opened:
        yield opened


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    with listening(made):
        yield made


@pytest.fixture
def unsaved(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """The endpoint, by a block that is what a server would have kept.

    Where no server is needed for the rest: it takes half a minute to start.
    """

    async def load(name: str) -> object:
        return listener.block()

    monkeypatch.setattr(channels, "_load", load)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield listener
