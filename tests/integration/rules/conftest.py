"""A web server, a Prometheus server, and a site that goes into an environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Pages
from prometheus_server import PROGRAM, Prometheus
from site_repository import Site

from prefect_delivery.ledger import Ledger


@pytest.fixture
def site(home: Path, tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    made = Site(folder, Ledger.open())
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@shop.example")
    (folder / "index.html").write_text("hello")
    made.git("add", "-A")
    return made


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as served:
        yield served


@pytest.fixture
def prometheus(pages: Pages, tmp_path: Path) -> Iterator[Prometheus]:
    if PROGRAM is None:
        pytest.skip("not installed: prometheus")
    pages.texts["/metrics"] = "shop_errors 0\n"
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with Prometheus(folder, pages.address) as server:
        yield server
