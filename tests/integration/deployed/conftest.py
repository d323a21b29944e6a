"""A Prefect server, a stock process worker, and a pipeline deployed to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Deployed, Machine, Server, deploy
from repository import Shop

from prefect_delivery.ledger import Ledger


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def deployed(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """A deployment and its worker, for all tests that leave the worker alive."""
    machine = Machine(
        tmp_path_factory.mktemp("worker"),
        server.url,
        {"PREFECT_WORKER_QUERY_SECONDS": "1"},
    )
    with deploy(machine, "shared") as made:
        yield made


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


@pytest.fixture
def machine(server: Server, home: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine that shares the shop's ledger and is configured to use the server."""
    folder = tmp_path / "machine"
    folder.mkdir()
    made = Machine(folder, server.url, {"PREFECT_DELIVERY_HOME": str(home)})
    yield made
    made.switch_off()
