"""A shop that can be rolled out on this machine."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from host_shop import Shop, quiet, stop_everything

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.blocks.host_proxy import Proxy
from prefect_delivery.ledger import Release, Rollout, RolloutKind
from prefect_delivery.rollout import roll_out

RollOut = Callable[..., Rollout]


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def make_host(shop: Shop) -> Iterator[Callable[..., HostEnvironment]]:
    """Hosts of the shop with settings of the test's own; their services end with it."""
    made: list[HostEnvironment] = []

    def make(**settings: Any) -> HostEnvironment:
        made.append(shop.host(**settings))
        return made[-1]

    yield make
    for host in made:
        stop_everything(host)


@pytest.fixture(params=["haproxy", "switch"])
def host(
    request: pytest.FixtureRequest,
    make_host: Callable[..., HostEnvironment],
    monkeypatch: pytest.MonkeyPatch,
) -> HostEnvironment:
    """A host with a service: once behind HAProxy, once without."""
    if request.param == "haproxy":
        needs_haproxy()
    else:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.setattr(Proxy, "folders", "")
    host = make_host()
    assert host.has_traffic == (request.param == "haproxy")
    return host


@pytest.fixture
def proxied(make_host: Callable[..., HostEnvironment]) -> HostEnvironment:
    needs_haproxy()
    return make_host()


@pytest.fixture
def into(shop: Shop) -> RollOut:
    """Rolls a release out into a host."""

    def roll(
        host: HostEnvironment,
        release: Release,
        kind: RolloutKind = "forward",
        **arguments: Any,
    ) -> Rollout:
        arguments = {"execution_id": "", "log": quiet, "kind": kind, **arguments}
        return roll_out(shop.ledger, host, shop.environment, release, **arguments)

    return roll


def needs_haproxy() -> None:
    if Proxy.program() is None:
        pytest.skip("haproxy is not installed")
