from pathlib import Path

import pytest
from deployed_repository import DeployedRepository
from git_http import GitServer
from git_work import Developer

from prefect_delivery.ledger import Ledger


@pytest.fixture
def there(git_server: GitServer, home: Path, tmp_path: Path) -> DeployedRepository:
    """A repository of its own, over HTTP."""
    name = tmp_path.name.replace("_", "-")
    developer = Developer(tmp_path / "work")
    return DeployedRepository.make(Ledger.open(), git_server, developer, name)
