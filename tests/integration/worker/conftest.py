"""A Prefect server, pools for workers, and the pipeline deployed to one of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Deployed, Machine, Server
from prefect.client.orchestration import SyncPrefectClient
from repository import Shop
from work_pools import Pool

from prefect_delivery.ledger import Ledger

SUPPORT = Path(__file__).parents[2] / "support"
PIPELINE = "prefect_delivery.flows.pipeline.pipeline"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[SyncPrefectClient]:
    with SyncPrefectClient(server.url) as made:
        yield made


def _machine(server: Server, folder: Path) -> Machine:
    folder.mkdir()
    paths = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return Machine(folder, server.url, {"PYTHONPATH": os.pathsep.join(paths)})


@pytest.fixture(scope="session")
def warm(
    server: Server, client: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pool]:
    """A pool whose worker, which takes five runs at once, no test may end."""
    folder = tmp_path_factory.mktemp("warm")
    machine = _machine(server, folder / "machine")
    (folder / "notes").mkdir()
    made = Pool("warm", machine, client, folder / "notes")
    made.work("deliver", "worker", "warm", "--limit", "5")
    yield made
    machine.switch_off()


@pytest.fixture
def pool(
    server: Server,
    client: SyncPrefectClient,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Pool]:
    """A pool of a test's own, without a worker."""
    machine = _machine(server, tmp_path / "machine")
    (tmp_path / "notes").mkdir()
    yield Pool(request.node.name[:60], machine, client, tmp_path / "notes")
    machine.switch_off()


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
def deployed(warm: Pool) -> Deployed:
    """The pipeline flow, carried out by the warm worker."""
    warm.deploy(PIPELINE)
    return Deployed(warm.machine, warm.name, warm.machine._started[0], warm.client)
