"""Packs: files of many blobs, since creating a file costs more than hashing it.

A pack is written once, published by a rename and never changed. It holds the blobs one
after the other, then a record for each (SHA-256, offset, length), then a footer (magic,
number of records, SHA-256 of the records). There is no other index, so processes share
no file that changes.
"""

import os
import struct
from collections.abc import Callable, Container, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from prefect_delivery.artifacts.durable import NewFile
from prefect_delivery.artifacts.manifest import CHUNK

_RECORD = struct.Struct(">32sqI")
_FOOTER = struct.Struct(">8sQ32s")
_MAGIC = b"PDpack-1"
_MAX_OPEN = 64


class Blob(NamedTuple):
    """Where a blob is.

    Attributes:
        other: Another copy of it, as two processes may have stored it at once.
    """

    pack: Path
    offset: int
    length: int
    other: "Blob | None" = None

    def copies(self) -> Iterator["Blob"]:
        """This copy and all others."""
        yield self
        if self.other:
            yield from self.other.copies()


class Record(NamedTuple):
    """A line of a pack's index."""

    sha256: bytes
    offset: int
    length: int


def index(
    packs: Iterable[Path], wanted: Container[bytes] | None = None
) -> dict[bytes, Blob]:
    """Where the `wanted` blobs are, or all, by their SHA-256."""
    found: dict[bytes, Blob] = {}
    for pack in packs:
        for digest, offset, length in records(pack) or ():
            if wanted is None or digest in wanted:
                found[digest] = Blob(pack, offset, length, found.get(digest))
    return found


def records(pack: Path) -> list[Record] | None:
    """The index of a pack; None when it is damaged or of another version."""
    with pack.open("rb") as file:
        handle = file.fileno()
        tail = tail_of(
            os.fstat(handle).st_size, lambda at, length: os.pread(handle, length, at)
        )
    if tail is None:
        return None
    return list(map(Record._make, _RECORD.iter_unpack(tail[: -_FOOTER.size])))


def tail_of(size: int, read: Callable[[int, int], bytes]) -> bytes | None:
    """The end of a pack, which is its index and can be read as a pack by `records`.

    Args:
        size: Bytes of the pack.
        read: Gives the bytes at an offset, of a length.

    Returns:
        None when it is damaged or of another version.
    """
    end = size - _FOOTER.size
    if end < 0:
        return None
    footer = read(end, _FOOTER.size)
    magic, count, checksum = _FOOTER.unpack(footer)
    start = end - count * _RECORD.size
    if magic != _MAGIC or start < 0:
        return None
    raw = read(start, end - start)
    return raw + footer if sha256(raw).digest() == checksum else None


class PackWriter:
    """A pack to be. `close` gives up what was not published."""

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._file: NewFile | None = None
        self._records: dict[bytes, Record] = {}

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._records

    def add(self, digest: bytes, data: bytes) -> None:
        """Append a blob."""
        self._file = self._file or NewFile(self._temporary)
        self._records[digest] = Record(digest, self._file.size, len(data))
        self._file.write(data)

    def publish(self, packs: Path, name: str | None = None) -> int:
        """Make it a pack of the folder `packs`, if it holds anything; its bytes."""
        if self._file is None:
            return 0
        raw = b"".join(_RECORD.pack(*record) for record in self._records.values())
        self._file.write(raw)
        self._file.write(_FOOTER.pack(_MAGIC, len(self._records), sha256(raw).digest()))
        self._file.publish(packs / (name or uuid4().hex))
        return self._file.size

    def close(self) -> None:
        if self._file:
            self._file.close()


class PackReader:
    """Reads blobs, keeping the last packs open."""

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}

    def read(self, blob: Blob) -> bytes:
        """What is stored there, right or wrong."""
        if blob.length > CHUNK:
            return b""
        return os.pread(self._handle(blob.pack), blob.length, blob.offset)

    def read_intact(self, digest: bytes, blob: Blob) -> bytes | None:
        """The content with this SHA-256, from the first copy that is not damaged."""
        for copy in blob.copies():
            data = self.read(copy)
            if sha256(data).digest() == digest:
                return data
        return None

    def holds(self, data: bytes, blob: Blob) -> bool:
        """Whether a copy is what it should be: a damaged one must be stored again."""
        return any(self.read(copy) == data for copy in blob.copies())

    def close(self) -> None:
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()

    def _handle(self, pack: Path) -> int:
        if pack not in self._open:
            if len(self._open) >= _MAX_OPEN:
                self.close()
            self._open[pack] = os.open(pack, os.O_RDONLY)
        return self._open[pack]
