"""Releases on this machine, with or without a service that is kept running."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from prefect_delivery.blocks.environment import Environment
from prefect_delivery.blocks.host_fence import Fence
from prefect_delivery.blocks.host_proxy import Proxy
from prefect_delivery.blocks.host_releases import Releases
from prefect_delivery.blocks.host_service import Instance
from prefect_delivery.blocks.host_services import Ready, Service, Services
from prefect_delivery.blocks.host_traffic import Balanced, Linked, Switched, Traffic
from prefect_delivery.ledger import Release

__all__ = ["HostEnvironment", "Ready", "Service"]


class HostEnvironment(Environment):
    """Run releases on this machine.

    A release is unpacked into `releases/<digest>` below the root, and `current` leads to
    the one that counts. With a service, each release runs on its own port; HAProxy, where
    it is installed, gives it as much of the traffic as the strategy says, and no request
    fails. Without HAProxy the service changes on the public port itself, with a gap.

    Example:
        Save an environment, and load it again:
        ```python
        from prefect_delivery.blocks import HostEnvironment

        HostEnvironment(root="/srv/shop", port=8080).save("shop-host", overwrite=True)
        environment = HostEnvironment.load("shop-host")
        ```
    """

    _block_type_name = "Delivery Host Environment"
    _block_type_slug = "delivery-host-environment"
    _description = "Run releases on this machine, one of them current."

    root: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        description="Folder of the releases; created when missing."
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Port that people reach."
    )
    bind: str = Field(
        default="127.0.0.1",
        description="Address that people reach; 0.0.0.0 for every one of the machine.",
    )
    service: Service | None = Field(
        default=None, description="What is kept running for a release, if anything."
    )

    @model_validator(mode="after")
    def _is_reachable(self) -> "HostEnvironment":
        if self.service and not self.port:
            raise ValueError("a service needs a port")
        return self

    @property
    def identity(self) -> str:
        """What tells the target from others of its kind, whatever else is configured."""
        return f"host:{self.root}"

    @property
    def has_traffic(self) -> bool:
        """Whether HAProxy can split the traffic of a service."""
        return self.service is not None and Proxy.program() is not None

    @property
    def address(self) -> str | None:
        """Where people reach the environment, if that is known."""
        if self.url or not self.port:
            return self.url
        host = "127.0.0.1" if self.bind == "0.0.0.0" else self.bind  # noqa: S104
        return f"http://{host}:{self.port}"

    def address_of(self, release: Release) -> str | None:
        """Where this very release answers, whatever the traffic; None for nowhere."""
        services = self._services
        port = services.port(release.digest) if services else None
        return f"http://127.0.0.1:{port}" if port else None

    def folder_of(self, release: Release) -> Path:
        """Folder of the release on this machine; hooks run in it."""
        return self._releases.folder(release.digest)

    def observe(self) -> str | None:
        """Digest of the release that the link, the process and the traffic agree on."""
        digest = self._releases.current()
        return digest if digest and self._traffic.serves(digest) else None

    def prepare(self, release: Release, fence: int) -> None:
        """Unpack the release and start its service, without traffic.

        Raises:
            ActionFailed: The service does not get ready, or the port is not free.
            ArtifactError: The artifact is missing or damaged.
            LeaseLost: The root has seen a higher fencing token.
        """
        with self._fenced(fence):
            pass  # refuse before the long work, not only after it
        self._releases.unpack(release, self._fenced(fence))
        self._traffic.prepare(release.digest, partial(self._fenced, fence))

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Give the release this share of the traffic, in whole percents.

        Raises:
            ActionFailed: It does not run, or HAProxy does not obey.
            LeaseLost: The root has seen a higher fencing token.
        """
        self._traffic.shift(release.digest, percent, partial(self._fenced, fence))

    def verify(self, release: Release, percent: float) -> None:
        """Make sure that the service has not crashed, then run the checks."""
        self._traffic.verify(release.digest)
        super().verify(release, percent)

    def commit(self, release: Release, fence: int) -> None:
        """Let `current` lead to the release, stop the others, remove old ones.

        Raises:
            ActionFailed: Another service does not end.
            LeaseLost: The root has seen a higher fencing token.
        """
        with self._fenced(fence):
            self._releases.make_current(release.digest)
        self._traffic.settle(release.digest, partial(self._fenced, fence))
        with self._fenced(fence):
            self._releases.tidy(self.keep)
            if self._services:
                self._services.tidy(self._releases.unpacked())

    def discard(self, release: Release, fence: int) -> None:
        """Stop the release's service and remove its folder.

        Raises:
            ActionFailed: The service does not end.
            LeaseLost: The root has seen a higher fencing token.
        """
        self._traffic.discard(release.digest, partial(self._fenced, fence))
        with self._fenced(fence):
            self._releases.remove(release.digest)

    @property
    def can_shut_down(self) -> bool:
        return self.service is not None

    def shut_down(self, fence: int | None = None) -> None:
        """Stop everything that runs for this environment; its releases stay.

        Args:
            fence: None where nobody else can be at it.

        Raises:
            LeaseLost: The root has seen a higher fencing token.
        """
        with self._fenced(fence) if fence is not None else nullcontext():
            for folder in [*(self.root / "services").glob("*"), self.root / "proxy"]:
                Instance(folder).stop(10)

    def _fenced(self, token: int) -> AbstractContextManager[None]:
        return Fence(self.root).held(token)

    @property
    def _releases(self) -> Releases:
        return Releases(self.root)

    @property
    def _traffic(self) -> Traffic:
        services = self._services
        if services is None or self.port is None:
            return Linked(self._releases)
        if not self.has_traffic:
            return Switched(self._releases, services, self.bind, self.port)
        proxy = Proxy(self.root / "proxy", self.bind, self.port)
        return Balanced(self._releases, services, proxy)

    @property
    def _services(self) -> Services | None:
        if self.service is None:
            return None
        return Services(self.root / "services", self.service)
