"""What `doctor` looks at."""

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from prefect_delivery.errors import (
    ActionFailed,
    ArtifactError,
    LedgerError,
    Refused,
)
from prefect_delivery.settings import settings

PYTHON = Version("3.11")
GIT = Version("2.31")
"""The first that takes configuration by environment (GIT_CONFIG_COUNT)."""
PINNED = ("prefect", "fastapi", "sqlalchemy")
SECONDS = 5.0
"""How long anything outside may take to answer."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        required: False for what only some pipelines need.
        found: What is there.
        remedy: What to do when it is not as it should be.
    """

    name: str
    ok: bool
    found: str
    required: bool = True
    remedy: str = ""


def all_checks() -> list[Check]:
    """Look at everything, in the order a person would set it up."""
    checks: list[Callable[[], Check]] = [_python, _git, _haproxy, _docker]
    looked = [check() for check in checks]
    looked += [_package(name) for name in PINNED]
    looked += [_ledger(), _store(), _server(), *_notifications()]
    return looked + ([_webhooks()] if settings().server.exists() else [])


def _python() -> Check:
    found = Version(platform.python_version())
    return Check(
        name="python",
        ok=found >= PYTHON,
        found=f"{found} ({sys.executable})",
        remedy=f"install Python {PYTHON} or newer",
    )


def _git() -> Check:
    remedy = f"install git {GIT} or newer"
    said = _said("git", "--version")
    if said is None:
        return Check(name="git", ok=False, found="not on PATH", remedy=remedy)
    try:
        version = Version(said.split()[2])
    except (IndexError, InvalidVersion):
        return Check(name="git", ok=False, found=said, remedy=remedy)
    return Check(name="git", ok=version >= GIT, found=str(version), remedy=remedy)


def _haproxy() -> Check:
    from prefect_delivery.blocks.host_proxy import Proxy

    program = Proxy.program()
    said = _said(program, "-v") if program else None
    return Check(
        name="haproxy",
        ok=said is not None,
        required=False,
        found=" ".join(said.split()[:3]) if said else "not installed",
        remedy="install haproxy: without it, a service is switched with a short gap",
    )


def _docker() -> Check:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=int(SECONDS))
        version: dict[str, Any] = client.version()
    except (DockerException, OSError) as error:
        return Check(
            name="docker engine",
            ok=False,
            required=False,
            found=f"does not answer: {error}",
            remedy="start Docker: actions with an 'image' need it",
        )
    return Check(
        name="docker engine", ok=True, required=False, found=version["Version"]
    )


def _package(name: str) -> Check:
    installed = importlib.metadata.version(name)
    wanted = _requirement(name)
    if wanted is None:
        return Check(name=name, ok=True, found=installed)
    return Check(
        name=name,
        ok=wanted.specifier.contains(installed),
        found=f"{installed} (wanted {wanted.specifier})",
        remedy=f"pip install '{name}{wanted.specifier}'",
    )


def _requirement(name: str) -> Requirement | None:
    """What this package asks of another; None when it is not installed itself."""
    try:
        required = importlib.metadata.requires("prefect-delivery") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [r for r in map(Requirement, required) if r.name == name]
    return found[0] if found else None


def _ledger() -> Check:
    from prefect_delivery.ledger import Ledger

    place = without_password(settings().ledger)
    try:
        ledger = Ledger.open()
        ledger.audit.verify()
    except LedgerError as error:
        return Check(
            name="ledger",
            ok=False,
            found=f"{place}: {error.message}",
            remedy=error.hint or "set PREFECT_DELIVERY_LEDGER_URL or restore a backup",
        )
    return Check(name="ledger", ok=True, found=f"{place}, audit chain verified")


def without_password(url: str) -> str:
    """The URLs in a text without their passwords."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _store() -> Check:
    from prefect_delivery.artifacts import Artifact

    chosen = settings()
    place = chosen.artifact_bucket or chosen.artifacts
    try:
        with TemporaryDirectory() as folder:
            (Path(folder) / "in").mkdir()
            (Path(folder) / "in" / "doctor").write_text("a file to be stored\n")
            Artifact.of(Path(folder) / "in").unpack(Path(folder) / "out")
    except (ArtifactError, OSError) as error:
        return Check(
            name="artifact store",
            ok=False,
            found=f"{place}: {error}",
            remedy="make it writable, or set PREFECT_DELIVERY_ARTIFACT_STORE",
        )
    free = shutil.disk_usage(chosen.artifacts).free / 2**30
    return Check(name="artifact store", ok=True, found=f"{place}, {free:.1f} GiB free")


def _server() -> Check:
    import httpx
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        return Check(
            name="prefect server",
            ok=True,
            required=False,
            found="none configured; runs start a private one, --local needs none",
        )
    try:
        answer = httpx.get(f"{url}/health", timeout=SECONDS)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return Check(
            name="prefect server",
            ok=False,
            found=f"{without_password(url)}: {error}",
            remedy="prefect server start, or: prefect config unset PREFECT_API_URL",
        )
    return Check(name="prefect server", ok=True, found=without_password(url))


def _notifications() -> Iterator[Check]:
    """Whoever is told of what happens, if anybody is."""
    from prefect_delivery.ledger import Ledger

    try:
        places = Ledger.open().outbox.list()
    except LedgerError:
        return  # another check says so
    for place in places:
        since = f" since {place.since:%Y-%m-%d %H:%M} UTC" if place.since else ""
        wrong = f"{place.name} could not be told{since}: {place.error}"
        yield Check(
            name="notifications",
            ok=place.error is None,
            required=False,
            found=place.name if place.error is None else wrong,
            remedy="set it right in Prefect; then: deliver reconcile",
        )


def _webhooks() -> Check:
    from prefect_delivery.server.connections import (
        fetch_secret,
        read_configuration,
    )

    try:
        connections = read_configuration(settings().server).connections
        for connection in connections.values():
            for reference in connection.secrets:
                fetch_secret(reference)
    except (ActionFailed, Refused) as error:
        return Check(
            name="webhooks",
            ok=False,
            required=False,
            found=error.message,
            remedy=error.hint or "deliver server turns webhooks away without it",
        )
    return Check(name="webhooks", ok=True, required=False, found=", ".join(connections))


def _said(*argv: str) -> str | None:
    """The first line a program prints; None when there is no such program."""
    if shutil.which(argv[0]) is None:
        return None
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return (done.stdout.splitlines() or [""])[0]
