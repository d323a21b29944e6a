"""A developer who pushes to the git server."""

from pathlib import Path

import pytest
from git_http import GitServer
from git_work import Developer


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    """Artifacts of these tests stay apart from those of the person who runs them."""
    return home


@pytest.fixture
def developer(tmp_path: Path) -> Developer:
    return Developer(tmp_path / "work")


@pytest.fixture
def published(developer: Developer, git_server: GitServer, tmp_path: Path) -> str:
    """Name of a repository on the server, with one commit on its branch `main`."""
    name = tmp_path.name
    bare = git_server.create(name)
    developer.git("remote", "add", "origin", str(bare))
    developer.commit("first", {"README": "shop"})
    developer.push()
    return name
