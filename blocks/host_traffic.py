"""How the releases of a host get traffic: by a link, by a switch, or by HAProxy."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from prefect_delivery.blocks.host_proxy import Proxy
from prefect_delivery.blocks.host_releases import Releases
from prefect_delivery.blocks.host_service import check_port, free_port
from prefect_delivery.blocks.host_services import Services
from prefect_delivery.errors import ActionFailed

Fenced = Callable[[], AbstractContextManager[None]]
"""Opens the section in which the host may be changed."""
_LOOPBACK = "127.0.0.1"


class Traffic(Protocol):
    """Moves the traffic of a host between its releases, named by their digests."""

    def serves(self, digest: str) -> bool:
        """Whether all traffic goes to this release and is answered by it."""
        ...

    def prepare(self, digest: str, fenced: Fenced) -> None: ...
    def shift(self, digest: str, percent: float, fenced: Fenced) -> None: ...
    def verify(self, digest: str) -> None: ...

    def settle(self, digest: str, fenced: Fenced) -> None:
        """Stop what runs besides this release."""
        ...

    def discard(self, digest: str, fenced: Fenced) -> None: ...


class Linked:
    """No service: whoever follows the link gets the release."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def serves(self, digest: str) -> bool:
        return True

    def prepare(self, digest: str, fenced: Fenced) -> None:
        return

    def shift(self, digest: str, percent: float, fenced: Fenced) -> None:
        with fenced():
            self._releases.make_current(digest)

    def verify(self, digest: str) -> None:
        return

    def settle(self, digest: str, fenced: Fenced) -> None:
        return

    def discard(self, digest: str, fenced: Fenced) -> None:
        return


class Switched:
    """One service at a time has the public port; between two there is a gap."""

    def __init__(
        self, releases: Releases, services: Services, host: str, port: int
    ) -> None:
        self._releases = releases
        self._services = services
        self._host = host
        self._port = port

    def serves(self, digest: str) -> bool:
        state = self._services.state(digest)
        return bool(state and state["child"] and state["port"] == self._port)

    def prepare(self, digest: str, fenced: Fenced) -> None:
        """Try the release on another port first."""
        ours = {state["port"] for state in self._services.running().values()}
        if self._port not in ours:
            check_port(self._host, self._port)
        with fenced():
            self._start(digest, _LOOPBACK, free_port())
        self._services.wait_until_ready(digest)

    def shift(self, digest: str, percent: float, fenced: Fenced) -> None:
        if percent < 100:
            return
        with fenced():
            for other in self._services.running():
                if other != digest or self._services.port(digest) != self._port:
                    self._services.stop(other)
            self._start(digest, self._host, self._port)
        self._services.wait_until_ready(digest)

    def verify(self, digest: str) -> None:
        self._services.check_steady(digest)

    def settle(self, digest: str, fenced: Fenced) -> None:
        with fenced():
            for other in self._services.running():
                if other != digest:
                    self._services.stop(other)

    def discard(self, digest: str, fenced: Fenced) -> None:
        with fenced():
            self._services.stop(digest)

    def _start(self, digest: str, host: str, port: int) -> None:
        folder = self._releases.folder(digest)
        self._services.start(digest, folder, host=host, port=port)


class Balanced:
    """Each release on its own port, HAProxy in front of them on the public one."""

    def __init__(self, releases: Releases, services: Services, proxy: Proxy) -> None:
        self._releases = releases
        self._services = services
        self._proxy = proxy

    def serves(self, digest: str) -> bool:
        state = self._services.state(digest)
        return bool(
            state and state["child"] and self._proxy.routes() == {state["port"]: 100}
        )

    def prepare(self, digest: str, fenced: Fenced) -> None:
        self._take_port_over(fenced)
        self._proxy.check_port()
        with fenced():
            self._start(digest)
        self._services.wait_until_ready(digest)

    def shift(self, digest: str, percent: float, fenced: Fenced) -> None:
        with fenced():
            port = self._port(digest)
            share = 100 if percent >= 100 else min(99, max(1, round(percent)))
            rest = self._proxy.routes()
            rest.pop(port, None)
            if rest:
                other = max(rest, key=rest.__getitem__)
                self._proxy.route({port: share, other: 100 - share})
            else:
                self._proxy.route({port: 100})

    def verify(self, digest: str) -> None:
        self._services.check_steady(digest)

    def settle(self, digest: str, fenced: Fenced) -> None:
        others = [other for other in self._services.running() if other != digest]
        for other in others:
            self._drain(self._services.port(other))
        with fenced():
            self._proxy.route({self._port(digest): 100})
            for other in others:
                self._services.stop(other)

    def discard(self, digest: str, fenced: Fenced) -> None:
        with fenced():
            self._services.stop(digest)
            alive = {state["port"] for state in self._services.running().values()}
            if not alive & set(self._proxy.routes()):
                self._proxy.stop()

    def _take_port_over(self, fenced: Fenced) -> None:
        """Put a service behind HAProxy that was started before it was installed."""
        for digest, state in self._services.running().items():
            if state["port"] == self._proxy.port:
                with fenced():
                    self._services.stop(digest)
                    self._start(digest)
                self._services.wait_until_ready(digest)
                with fenced():
                    self._proxy.route({self._port(digest): 100})

    def _start(self, digest: str) -> None:
        folder = self._releases.folder(digest)
        self._services.start(digest, folder, host=_LOOPBACK, port=free_port())

    def _drain(self, port: int | None) -> None:
        """Let a release without traffic answer what it has begun to answer."""
        deadline = time.monotonic() + self._services.service.stop_timeout
        while port and self._proxy.requests(port) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _port(self, digest: str) -> int:
        port = self._services.port(digest)
        if port is None:
            raise ActionFailed(f"the service of release {digest[:12]} does not run")
        return port
