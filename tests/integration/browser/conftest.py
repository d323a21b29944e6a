"""Prefect's pages in a browser, over a server with a pipeline and its worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser, missing
from deployed import Machine, Server
from git_http import GitServer
from prefect.client.orchestration import SyncPrefectClient
from shown_shop import ShownShop


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def tab(server: Server, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser tab; its pictures go into the docs with `--screenshots`."""
    if why := missing():
        pytest.skip(why)
    keep = bool(request.config.getoption("--screenshots"))
    with browser(server.url.removesuffix("/api"), keep=keep) as made:
        yield made


@pytest.fixture
def shop(server: Server, git_server: GitServer, tmp_path: Path) -> Iterator[ShownShop]:
    """A shop whose pushes are delivered by a worker that starts at once."""
    machine = Machine(tmp_path, server.url)
    with SyncPrefectClient(server.url) as client:
        made = ShownShop(machine, git_server, client)
        try:
            made.open()
            yield made
        finally:
            made.close()
