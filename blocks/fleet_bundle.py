"""A release as what hosts are sent: its files in a tar file, and its appspec."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect_delivery.appspec.loader import load_appspec
from prefect_delivery.appspec.models import HostAppspec
from prefect_delivery.artifacts import open_store
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Release


@dataclass(frozen=True)
class Bundle:
    """A tar file, and the appspec in it as data."""

    tar: Path
    appspec: dict[str, Any]


@contextmanager
def bundled(release: Release, appspec: str) -> Iterator[Bundle]:
    """Pack a release's artifact; gone when the block ends.

    Args:
        appspec: Path of the appspec in the artifact.

    Raises:
        ActionFailed: There is no appspec, or it is not for Linux hosts.
        ArtifactError: The artifact is missing or damaged.
        DefinitionError: The appspec is written wrongly.
    """
    with TemporaryDirectory() as folder:
        tree, tar = Path(folder) / "tree", Path(folder) / "bundle.tar"
        open_store().get(release.artifact.digest, tree)
        found = _appspec(tree / appspec, appspec)
        with tarfile.open(tar, "w") as archive:
            archive.add(tree, arcname=".", filter=_anonymous)
        yield Bundle(tar, asdict(found))


def _appspec(path: Path, name: str) -> HostAppspec:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ActionFailed(
            f"the release has no appspec '{name}': {error}",
            hint="put it at the root of the artifact",
        ) from error
    found = load_appspec(text, name)
    if not isinstance(found, HostAppspec):
        raise ActionFailed(f"'{name}' is not for hosts, but for {_service(found)}")
    if found.os != "linux":
        raise ActionFailed(f"'{name}' is for {found.os}; hosts of a fleet run Linux")
    return found


def _service(appspec: object) -> str:
    return type(appspec).__name__.removesuffix("Appspec")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files belong to whoever unpacks them."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
