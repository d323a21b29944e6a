"""A shop whose rollouts are killed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_shop import Shop, stop_everything
from scenarios import Traffic


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
        elif not shutil.which("haproxy"):
            pytest.skip("haproxy is not installed")

    return choose
