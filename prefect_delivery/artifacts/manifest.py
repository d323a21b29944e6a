"""The manifest of an artifact: what its tree holds, in one canonical form.

Its SHA-256 is the artifact's digest, so equal trees have equal digests whatever their
owner, their times and the order of their directories. It is text, an entry a line,
names percent-encoded, ordered by path:

    prefect-delivery artifact 1
    d 755 lib
    f 644 5 2cf24dba...9824 lib/a.txt
    l a.txt lib/latest

A file's content is listed as the SHA-256 of each 4 MiB of it (`-` when it is empty).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote

from prefect_delivery.errors import ArtifactError

CHUNK = 4 << 20
"""Bytes of a file that are hashed and stored together."""

_HEADER = "prefect-delivery artifact 1"
_SAFE = "/@+,=:"
_FOLDER = re.compile(r"d (700|755) (\S+)")
_FILE = re.compile(
    r"f (600|644|700|755) (0|[1-9][0-9]{0,15}) (-|[0-9a-f]{64}(?:,[0-9a-f]{64})*) (\S+)"
)
_LINK = re.compile(r"l (\S+) (\S+)")


class Folder(NamedTuple):
    """A folder. `mode` is 0o755, or 0o700 when it was private to its owner."""

    path: str
    mode: int


class File(NamedTuple):
    """A regular file.

    Attributes:
        mode: 0o644 or, when its owner may execute it, 0o755; 0o600 or 0o700 when it
            was private to its owner.
        size: Bytes.
        chunks: SHA-256 of each chunk of its content, in order.
    """

    path: str
    mode: int
    size: int
    chunks: tuple[str, ...]


class Link(NamedTuple):
    """A symbolic link, with its target as written."""

    path: str
    target: str


Entry = Folder | File | Link


def order(entry: Entry) -> list[str]:
    """Sort key: a folder comes right before all it holds."""
    return entry.path.split("/")


def encode(entries: Iterable[Entry]) -> bytes:
    """The manifest of a tree, whose entries come in `order`."""
    lines = [_HEADER, *map(_line, entries)]
    return "".join(line + "\n" for line in lines).encode("ascii")


def decode(manifest: bytes) -> list[Entry]:
    """The tree of a manifest. Whether it is safe to unpack, `check` says.

    Raises:
        ArtifactError: Not a manifest, or one of a newer version.
    """
    header, *lines = manifest.decode("ascii", "replace").split("\n")
    if header != _HEADER or not lines or lines.pop():
        raise ArtifactError(f"not a manifest that starts with '{_HEADER}'")
    return [_entry(line) for line in lines]


def shown(path: str) -> str:
    """A path as a person may see it: control characters escaped."""
    return repr(path)


def _line(entry: Entry) -> str:
    path = _quote(entry.path)
    match entry:
        case Folder():
            return f"d {entry.mode:o} {path}"
        case File():
            chunks = ",".join(entry.chunks) or "-"
            return f"f {entry.mode:o} {entry.size} {chunks} {path}"
        case Link():
            return f"l {_quote(entry.target)} {path}"


def _entry(line: str) -> Entry:
    if found := _FILE.fullmatch(line):
        mode, size, chunks, path = found.groups()
        return File(_unquote(path), int(mode, 8), int(size), _hashes(chunks))
    if found := _FOLDER.fullmatch(line):
        return Folder(_unquote(found[2]), int(found[1], 8))
    if found := _LINK.fullmatch(line):
        return Link(_unquote(found[2]), _unquote(found[1]))
    raise ArtifactError(f"not a line of a manifest: {shown(line[:200])}")


def _hashes(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(","))


def _quote(path: str) -> str:
    return quote(path, safe=_SAFE, errors="surrogateescape")


def _unquote(path: str) -> str:
    return unquote(path, errors="surrogateescape")
