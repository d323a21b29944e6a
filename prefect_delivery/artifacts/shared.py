"""An artifact store that machines share, and what this one has of it.

The shared place holds the same as a store in a folder: `artifacts/<digest>` the
manifests, `packs/` the content. Content goes there before the manifest that needs it,
so a crash leaves a whole artifact or none. The store in the folder of this machine is
filled by what is stored and read here, and asked first.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from prefect_delivery.artifacts.content import unusable
from prefect_delivery.artifacts.manifest import Entry, File, decode
from prefect_delivery.artifacts.objects import Objects
from prefect_delivery.artifacts.shared_packs import SharedPacks
from prefect_delivery.artifacts.store import ArtifactStore
from prefect_delivery.errors import ArtifactError

SETTLED: Final = 86_400.0
"""Seconds after which all who stored or read when a pack was doomed have ended."""
_COLLECTED: Final = "collected"


class SharedStore(ArtifactStore):
    """Keeps artifacts in a shared place and, by digest, those used here in a folder.

    Args:
        root: Folder on this machine.
        objects: The shared place.
    """

    def __init__(self, root: Path, objects: Objects) -> None:
        super().__init__(root)
        self._objects = objects

    def put(self, folder: Path, patterns: list[str] | None = None) -> tuple[str, int]:
        found = super().put(folder, patterns)
        self._push(found[0])
        return found

    def receive(self, digest: str, read: Callable[[int], bytes]) -> int:
        size = super().receive(digest, read)
        self._push(digest)
        return size

    def get(self, digest: str, folder: Path) -> None:
        if not super().has(digest):
            self._bring(digest)
        try:
            super().get(digest, folder)
        except ArtifactError:
            if self._is_intact(digest):
                raise
            self._bring(digest)
            super().get(digest, folder)

    def send(self, digest: str) -> Iterator[bytes]:
        # Before the first byte, as what was sent cannot be taken back.
        if not self._is_intact(digest):
            self._bring(digest)
        yield from super().send(digest)

    def verify(self, digest: str) -> None:
        """Read all of an artifact in the shared place; see `ArtifactStore.verify`."""
        with self._guarded(f"read the artifact {digest}"), self._layout.shared():
            manifest = self._shared_manifest(digest)
            for _ in self._read(digest, _chunks(self._decoded(digest, manifest))):
                pass

    def renew(self, digest: str) -> None:
        if not self._is_intact(digest):
            self._bring(digest)
        self._push(digest)

    def choose(self, digest: str, patterns: Sequence[str]) -> tuple[str, int]:
        if not super().has(digest):
            self._bring(digest)
        found = super().choose(digest, patterns)
        self._push(found[0])
        return found

    def has(self, digest: str) -> bool:
        return self._objects.stat(self._key(digest)) is not None

    def collect(self, keep: set[str], *, grace: float = 3600) -> int:
        """Remove artifacts here, and once in a day those of the shared place.

        What only they needed there is doomed first, and removed `SETTLED` later.
        """
        freed = super().collect(keep, grace=grace)
        now = datetime.now(UTC)
        last = self._objects.stat(_COLLECTED)
        if last and now - last.modified < timedelta(seconds=min(SETTLED, grace)):
            return freed
        self._objects.write(_COLLECTED, b"")
        with self._guarded("collect old artifacts"), self._layout.shared():
            return freed + self._collect(keep, now - timedelta(seconds=grace))

    def _manifest(self, digest: str) -> bytes:
        if super().has(digest):
            return super()._manifest(digest)
        return self._shared_manifest(digest)

    def _shared_manifest(self, digest: str) -> bytes:
        manifest = self._objects.read(self._key(digest))
        if manifest is None:
            raise ArtifactError(f"no artifact {digest} in {self._objects}")
        if sha256(manifest).hexdigest() != digest:
            raise unusable(digest, "its manifest is damaged")
        return manifest

    def _is_intact(self, digest: str) -> bool:
        """Whether the folder of this machine has all of it."""
        try:
            super().verify(digest)
        except ArtifactError:
            return False
        return True

    def _bring(self, digest: str) -> None:
        """Have an artifact whole in the folder of this machine."""
        with self._guarded(f"read the artifact {digest}"), self._layout.shared():
            manifest = self._shared_manifest(digest)
            tree = self._decoded(digest, manifest)
            with self._intake(Path()) as intake:
                wanted = {chunk for chunk in _chunks(tree) if not intake.has(chunk)}
                for chunk, data in self._read(digest, wanted):
                    intake.keep(chunk, data)
            self._layout.write_manifest(digest, manifest)

    def _push(self, digest: str) -> None:
        """Have an artifact of this machine in the shared place."""
        with self._guarded(f"store the artifact {digest}"), self._layout.shared():
            manifest = self._layout.read_manifest(digest)
            tree = self._decoded(digest, manifest)
            with self._content(digest, tree) as content:
                self._packs().add(_chunks(tree), lambda key: content.read(key.hex()))
            # Written even if it is there: that makes it young again, or whole.
            self._objects.write(self._key(digest), manifest)

    def _read(self, digest: str, wanted: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
        if not wanted:
            return
        try:
            yield from self._packs().read(wanted)
        except ArtifactError as error:
            raise unusable(digest, error.message) from error

    def _collect(self, keep: set[str], limit: datetime) -> int:
        live: set[bytes] = set()
        for stored in self._objects.list("artifacts/"):
            digest = stored.key.partition("/")[2]
            if digest not in keep and stored.modified <= limit:
                self._objects.delete(stored.key)
                continue
            manifest = self._objects.read(stored.key) or b""
            # Of a damaged one nothing can be saved.
            if sha256(manifest).hexdigest() == digest:
                live |= _chunks(decode(manifest))
        packs, freed = self._packs(), 0
        only_doomed = live - packs.sound()
        settled = datetime.now(UTC) - timedelta(seconds=SETTLED)
        for name, rows in packs.index.items():
            has = {record.sha256 for record in rows}
            if name not in packs.doomed:
                if not has & live and packs.packs[name].modified <= limit:
                    packs.doom(name)
            elif packs.doomed[name] <= settled and not has & only_doomed:
                freed += packs.remove(name)
        # A pack without an index is damaged.
        for name in packs.packs.keys() - packs.index.keys() - packs.doomed.keys():
            packs.doom(name)
        for name in packs.doomed.keys() - packs.index.keys():
            if packs.doomed[name] <= settled:
                freed += packs.remove(name)
        return freed

    def _packs(self) -> SharedPacks:
        return SharedPacks(self._objects, self._layout)

    def _key(self, digest: str) -> str:
        return f"artifacts/{self._layout.manifest(digest).name}"


def _chunks(tree: list[Entry]) -> set[bytes]:
    """The SHA-256 of every chunk of a tree's files."""
    files = (entry for entry in tree if isinstance(entry, File))
    return {bytes.fromhex(chunk) for file in files for chunk in file.chunks}
