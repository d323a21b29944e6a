"""A Prefect server, and a team that deploys to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Machine, Server
from prefect.client.orchestration import SyncPrefectClient
from team import Team


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def team(server: Server, tmp_path: Path) -> Iterator[Team]:
    """A machine with a home, a work pool and a folder of its own."""
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "work").mkdir()
    machine = Machine(folder, server.url, {"PREFECT_WORKER_QUERY_SECONDS": "1"})
    pool = f"pool-{tmp_path.name}".lower().replace("_", "-")
    try:
        with SyncPrefectClient(server.url) as client:
            yield Team(machine, folder / "work", client, pool)
    finally:
        machine.switch_off()
