"""Fixtures that tests of several rooms share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from git_http import GitServer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the ledger, artifacts, workspaces and logs of one test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("PREFECT_DELIVERY_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server of our own. It takes seconds to start: ask for it sparingly."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["GitServer"]:
    """A git server on this machine."""
    from git_http import MISSING, GitServer

    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    with GitServer(tmp_path_factory.mktemp("git") / "server") as server:
        yield server
