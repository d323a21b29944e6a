"""Packs in a shared place: their indexes kept here, their content read in parallel.

packs/<name>     as `packs` describes them. The name follows from what is in it, so of two
                 processes that store the same at once, one finds it there.
doomed/<name>    says that a pack is damaged or unneeded: from then on nobody refers to
                 it, and so it can be removed once all who had looked before have ended.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from itertools import islice
from typing import Final, NamedTuple
from uuid import uuid4

from prefect_delivery.artifacts.durable import NewFile
from prefect_delivery.artifacts.layout import Layout
from prefect_delivery.artifacts.manifest import CHUNK
from prefect_delivery.artifacts.objects import Objects, Stored
from prefect_delivery.artifacts.packs import PackWriter, Record, records, tail_of
from prefect_delivery.errors import ArtifactError

PARALLEL: Final = 8
"""Requests that are made at the same time."""
RANGE: Final = 4 * CHUNK
"""Bytes that are read at once, at most, of blobs that lie side by side."""


class Place(NamedTuple):
    """Where a blob is in a shared pack."""

    pack: str
    record: Record


class SharedPacks:
    """The packs of a shared store, as they are when this is made.

    Args:
        layout: Of the store on this machine, which keeps the indexes it has seen.
    """

    def __init__(self, objects: Objects, layout: Layout) -> None:
        self._objects = objects
        self._temporary = layout.temporary
        self._folder = layout.root / "indexes"
        self._folder.mkdir(exist_ok=True)
        self.doomed = {
            _name(stored): stored.modified for stored in objects.list("doomed/")
        }
        self.packs = {_name(stored): stored for stored in objects.list("packs/")}
        with ThreadPoolExecutor(PARALLEL) as pool:
            found = pool.map(self._index, self.packs.values())
        self.index: dict[str, list[Record]] = {
            name: rows
            for name, rows in zip(self.packs, found, strict=True)
            if rows is not None
        }
        """What is in each pack that can be read."""

    def places(self) -> dict[bytes, list[Place]]:
        """Where each blob is, by its SHA-256; sound packs before doomed ones."""
        found: dict[bytes, list[Place]] = {}
        for name in sorted(self.index, key=lambda name: name in self.doomed):
            for record in self.index[name]:
                found.setdefault(record.sha256, []).append(Place(name, record))
        return found

    def sound(self) -> set[bytes]:
        """The SHA-256 of what is in packs that are not doomed."""
        names = self.index.keys() - self.doomed.keys()
        return {record.sha256 for name in names for record in self.index[name]}

    def read(self, wanted: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Blobs by their SHA-256, each verified.

        Raises:
            ArtifactError: One is missing, or damaged wherever it is.
        """
        places = self.places()
        for digest in wanted:
            if digest not in places:
                raise ArtifactError(f"its blob {digest.hex()} is missing")
        ranges = _ranges(places[digest][0] for digest in wanted)
        with ThreadPoolExecutor(PARALLEL) as pool:
            # A few at a time, since what has come waits in memory.
            while some := list(islice(ranges, PARALLEL)):
                for digest, data in (
                    blob for blobs in pool.map(self._read, some) for blob in blobs
                ):
                    if sha256(data).digest() == digest:
                        yield digest, data
                    else:
                        yield digest, self._other(digest, places[digest])

    def add(self, wanted: Iterable[bytes], read: Callable[[bytes], bytes]) -> None:
        """Store those of some blobs that no sound pack has.

        Args:
            read: Gives the content with a SHA-256.
        """
        missing = sorted(set(wanted) - self.sound())
        if not missing:
            return
        name = sha256(b"".join(missing)).hexdigest()
        if name in self.packs:  # doomed, or it cannot be read
            name = uuid4().hex
        # Its own name here, as two processes may be about it.
        file = self._temporary / uuid4().hex
        with closing(PackWriter(self._temporary)) as pack:
            for digest in missing:
                pack.add(digest, read(digest))
            pack.publish(file.parent, file.name)
        try:
            self._objects.create(f"packs/{name}", file)
        finally:
            file.unlink()

    def doom(self, name: str) -> None:
        """Have nobody refer to a pack any more."""
        self._objects.write(f"doomed/{name}", b"")

    def remove(self, name: str) -> int:
        """Remove a doomed pack; its bytes."""
        self._objects.delete(f"packs/{name}")
        self._objects.delete(f"doomed/{name}")
        (self._folder / name).unlink(missing_ok=True)
        return self.packs[name].size if name in self.packs else 0

    def _other(self, digest: bytes, places: list[Place]) -> bytes:
        """A blob whose first copy is damaged; the pack of that is doomed."""
        for place in places:
            for found, data in self._read([place]):
                if sha256(data).digest() == found:
                    return data
            self.doom(place.pack)
        raise ArtifactError(f"its blob {digest.hex()} is damaged")

    def _read(self, places: list[Place]) -> list[tuple[bytes, bytes]]:
        """Blobs that lie side by side in a pack."""
        pack, first = places[0]
        length = sum(place.record.length for place in places)
        data = self._objects.read(f"packs/{pack}", first.offset, length) or b""
        found = []
        for record in (place.record for place in places):
            start = record.offset - first.offset
            found.append((record.sha256, data[start : start + record.length]))
        return found

    def _index(self, pack: Stored) -> list[Record] | None:
        kept = self._folder / _name(pack)
        if not kept.exists():
            tail = tail_of(pack.size, lambda *part: self._part(pack, *part))
            if tail is None:
                return None
            file = NewFile(self._temporary)
            try:
                file.write(tail)
                file.publish(kept)
            finally:
                file.close()
        return records(kept)

    def _part(self, pack: Stored, at: int, length: int) -> bytes:
        data = self._objects.read(pack.key, at, length)
        if data is None or len(data) != length:
            raise ArtifactError(f"{pack.key} was removed while it was being read")
        return data


def _name(stored: Stored) -> str:
    return stored.key.partition("/")[2]


def _ranges(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Places in groups of those that lie side by side and can be read at once."""
    group: list[Place] = []
    size = end = 0
    for place in sorted(places, key=lambda place: (place.pack, place.record.offset)):
        record = place.record
        fits = size + record.length <= RANGE and record.offset == end
        if group and not (fits and place.pack == group[0].pack):
            yield group
            group, size = [], 0
        group.append(place)
        size += record.length
        end = record.offset + record.length
    if group:
        yield group
