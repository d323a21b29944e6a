"""A Prefect server, a delivery server, and a Docker pool with its worker."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from delivery_server import DeliveryServer
from deployed import Machine, Server, until
from docker_engine import docker_engine
from docker_pool import Team, make_image, make_pool
from prefect.client.orchestration import SyncPrefectClient
from repository import Shop

from prefect_delivery.ledger import Ledger


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    with docker_engine() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        with closing(docker.from_env()) as client:
            make_image(client)
            yield client


@pytest.fixture(scope="module")
def everything(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    notes, home = folder / "notes", folder / "home"
    notes.mkdir()
    (folder / "machine").mkdir()
    server = Server(folder / "server")
    delivery = DeliveryServer(folder, {"PREFECT_API_URL": server.url})
    delivery.environment["PREFECT_DELIVERY_HOME"] = str(home)
    more = {
        "PREFECT_DELIVERY_HOME": str(home),
        "PREFECT_DELIVERY_SERVER_URL": f"http://127.0.0.1:{delivery.port}",
        "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    }
    machine = Machine(folder / "machine", server.url, more)
    try:
        server.start()
        delivery.start()
        with SyncPrefectClient(server.url) as client:
            make_pool(client, "docker", [f"{notes}:{notes}"])
            made = Team(machine, client, engine, delivery, notes)
            made.work()
            yield made
    finally:
        machine.switch_off()
        delivery.kill()
        server.kill()


@pytest.fixture
def team(everything: Team, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """The team, with nothing noted and nothing left of other tests."""
    monkeypatch.setenv(
        "PREFECT_DELIVERY_HOME", everything.machine.more["PREFECT_DELIVERY_HOME"]
    )
    yield everything
    everything.go()
    until(lambda: not everything.containers(), "the end of all containers")
    for each in everything.notes.iterdir():
        each.unlink()


@pytest.fixture
def shop(team: Team, tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(folder, Ledger.open())
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@shop.example")
    return made
