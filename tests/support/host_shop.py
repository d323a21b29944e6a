"""A host with releases of the small shop, for tests and for the processes they kill."""

import http.client
import sys
from pathlib import Path
from typing import Any

from prefect_delivery.artifacts import Artifact
from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.blocks.host_service import Instance, free_port
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.service import MARKER

SERVER = Path(__file__).with_name("shop_server.py")
SERVICE: dict[str, Any] = {
    "command": [sys.executable, "-I", "-S", "server.py"],
    "ready": {"path": "/health", "timeout": 10},
    "stop_timeout": 5,
}


def quiet(line: str) -> None:
    """A log that nobody reads."""


class Shop:
    """An environment called `production` and what belongs to it.

    Args:
        folder: Gets the environment's root, and the sources of the releases.
    """

    environment = "production"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open()
        self.port = free_port()

    def host(self, **settings: Any) -> HostEnvironment:
        """The host, with a service unless `service=None` is given."""
        settings = {"service": SERVICE, "port": self.port, **settings}
        return HostEnvironment(root=self.folder / "site", **settings)

    def release(self, version: str, behaviour: str = "fine") -> Release:
        """A release whose server answers with `version`."""
        source = self.folder / "source" / version
        source.mkdir(parents=True, exist_ok=True)
        (source / "server.py").write_bytes(SERVER.read_bytes())
        (source / "version").write_text(version)
        (source / "behaviour").write_text(behaviour)
        artifact = Artifact.of(source)
        return self.ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact.digest, size=artifact.size),
            revisions={"app": version},
            definition_digest="0" * 64,
            variables={"version": version},
        )

    def current(self, environment: str = environment) -> str | None:
        """What the ledger says is deployed."""
        found = self.ledger.releases.current(environment)
        return found.digest if found else None


def ask(host: HostEnvironment, path: str = "/") -> str:
    """What a customer gets."""
    assert host.port
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def stop_everything(host: HostEnvironment) -> None:
    """End what a test has left running."""
    for folder in [*(host.root / "services").glob("*"), host.root / "proxy"]:
        Instance(folder).stop(0)


def processes_of(folder: Path) -> list[str]:
    """Each process that runs for a service below a folder, with that service's name."""
    prefix = f"{MARKER}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        mark = [entry for entry in environment if entry.startswith(prefix)]
        found += [f"{process.name} {entry.decode()}" for entry in mark]
    return sorted(found)
