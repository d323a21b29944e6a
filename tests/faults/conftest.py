"""A shop whose rollouts are killed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_shop import Shop, stop_everything
from scenarios import Traffic

from prefect_delivery.blocks.host_proxy import Proxy


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    stop_everything(shop.host())


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
