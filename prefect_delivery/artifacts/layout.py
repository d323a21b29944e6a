"""Where the files of an artifact store are, and who may use them at the same time.

artifacts/<digest>   what an artifact holds: see `manifest`
packs/               the content of its files, each once: see `packs`
temporary/           what is being written; emptied by every collection
lock                 held shared to store and read, exclusively to collect
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from prefect_delivery.artifacts.durable import NewFile, sync_folder
from prefect_delivery.errors import ArtifactError

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Layout:
    """The folders and files of the store at `root`."""

    root: Path

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def packs(self) -> Path:
        return self.root / "packs"

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    def manifest(self, digest: str) -> Path:
        """Where the manifest of an artifact is, if there is one."""
        if not _DIGEST.fullmatch(digest):
            raise ArtifactError(f"{digest!r} is not the digest of an artifact")
        return self.artifacts / digest

    def read_manifest(self, digest: str) -> bytes:
        """The manifest of an artifact.

        Raises:
            ArtifactError: There is none, or not this one.
        """
        path = self.manifest(digest)
        if not path.exists():
            raise ArtifactError(f"no artifact {digest} in {self.root}")
        manifest = path.read_bytes()
        if sha256(manifest).hexdigest() != digest:
            raise ArtifactError(f"the manifest of the artifact {digest} is damaged")
        return manifest

    def write_manifest(self, digest: str, manifest: bytes) -> None:
        """Keep a manifest, in place of a damaged one; a good one becomes young again."""
        path = self.manifest(digest)
        if path.exists() and path.read_bytes() == manifest:
            os.utime(path)
            return
        file = NewFile(self.temporary)
        try:
            file.write(manifest)
            file.publish(path)
        finally:
            file.close()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Keep collections out while storing or reading; makes the store if missing."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Wait until nobody stores or reads, and keep them out."""
        with self._locked(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self._make()
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)

    def _make(self) -> None:
        folders = (self.artifacts, self.packs, self.temporary)
        if all(folder.exists() for folder in folders):
            return
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in folders:
            folder.mkdir(exist_ok=True)
        sync_folder(self.root)
        sync_folder(self.root.parent)
