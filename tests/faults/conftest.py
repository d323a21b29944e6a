"""A shop whose rollouts are killed, a project whose pipeline is, and the fault table."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_table import FaultTable
from host_shop import Shop, stop_everything
from projects import Project
from scenarios import Traffic

from prefect_delivery.blocks.host_proxy import Proxy


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-table",
        action="store_true",
        help="write docs/reliability.md with the figures of this run",
    )


def pytest_configure(config: pytest.Config) -> None:
    # The workers of pytest-xdist report to the process that started them.
    if config.getoption("--fault-table", False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FaultTable())


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    stop_everything(shop.host())


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Project:
    """A repository whose pipeline puts a site into an environment."""
    return Project.at(tmp_path / "shop")


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[[Traffic], None]:
    """Chooses how releases get traffic."""

    def choose(traffic: Traffic) -> None:
        if traffic == "switch":
            monkeypatch.setenv("PATH", "/usr/bin:/bin")
            monkeypatch.setattr(Proxy, "folders", "")
        elif Proxy.program() is None:
            pytest.skip("haproxy is not installed")

    return choose
