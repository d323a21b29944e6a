"""A repository over HTTP with deployed pipelines, and servers that take its webhooks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_server import DeliveryServer
from deployed_repository import DeployedRepository
from git_http import GitServer, free_port
from git_work import Developer

from prefect_delivery.ledger import Ledger


@pytest.fixture
def there(git_server: GitServer, home: Path, tmp_path: Path) -> DeployedRepository:
    """A repository of its own, over HTTP."""
    name = tmp_path.name.replace("_", "-")
    developer = Developer(tmp_path / "work")
    return DeployedRepository.make(Ledger.open(), git_server, developer, name)


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[DeliveryServer]:
    """A server, not started yet, that reaches no server of Prefect's.

    What it starts is in the ledger; that Prefect gets it is a test of its own, in
    tests/integration/deployments.
    """
    nobody = {
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_CLIENT_MAX_RETRIES": "0",
    }
    made = DeliveryServer(tmp_path, nobody)
    yield made
    made.kill()
