"""Reading files into the store: each once, in chunks, keeping what is new."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from prefect_delivery.artifacts.manifest import CHUNK, File, shown
from prefect_delivery.artifacts.packs import Blob, PackReader, PackWriter
from prefect_delivery.errors import ArtifactError

# A name that became a fifo meanwhile must not hang us, nor a link lead us elsewhere.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Intake:
    """Takes files of `folder` into a pack.

    A blob that is already stored is compared, not trusted: storing an artifact again
    heals a damaged one.
    """

    def __init__(
        self,
        folder: Path,
        known: dict[bytes, Blob],
        pack: PackWriter,
        reader: PackReader,
    ) -> None:
        self._folder = str(folder)
        self._known = known
        self._pack = pack
        self._reader = reader

    def has(self, digest: bytes) -> bool:
        """Whether a chunk is stored, and intact where it was written last."""
        blob = self._known.get(digest)
        return blob is not None and self._reader.read_intact(digest, blob) is not None

    def take(self, file: File) -> File:
        """Store the content of a scanned file; the file with its chunks.

        Raises:
            ArtifactError: The file has another size than when it was scanned.
        """
        chunks = []
        with _opened(f"{self._folder}/{file.path}") as handle:
            for data in _chunks(handle, file):
                digest = sha256(data)
                self.keep(digest.digest(), data)
                chunks.append(digest.hexdigest())
        return file._replace(chunks=tuple(chunks))

    def keep(self, digest: bytes, data: bytes) -> None:
        """Store a chunk of this SHA-256, unless it is there and intact."""
        if digest in self._pack:
            return
        blob = self._known.get(digest)
        if blob is None or not self._reader.holds(data, blob):
            self._pack.add(digest, data)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    handle = os.open(path, _READ)
    try:
        yield handle
    finally:
        os.close(handle)


def _chunks(handle: int, file: File) -> Iterator[bytes]:
    left = file.size
    while left:
        data = _read(handle, min(left, CHUNK))
        left -= len(data)
        if not data:
            break
        yield data
    if left or os.read(handle, 1):
        raise ArtifactError(f"{shown(file.path)} changed while it was being stored")


def _read(handle: int, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end of the file."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data
