"""A real repository with a pipeline, and ways to run it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from repository import Shop

from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(folder, Ledger.open())
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@shop.example")
    made.define()
    return made


@pytest.fixture(params=["local", "engine"])
def run(request: pytest.FixtureRequest, shop: Shop) -> Callable[..., Execution]:
    """Runs a new execution to its end, without a server or with Prefect's engine."""
    if request.param == "engine":
        request.getfixturevalue("prefect_server")

    def run_it(execution: Execution | None = None, **options: object) -> Execution:
        started = execution or shop.start(**options)
        return shop.drive(started, local=request.param == "local")

    return run_it
