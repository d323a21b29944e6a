"""An artifact on its way between two stores: its manifest, then each chunk once.

The manifest comes after its length (8 bytes, big-endian). The chunks come in its order,
and their lengths follow from it, so nothing else has to be said or believed.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from prefect_delivery.artifacts.manifest import CHUNK, Entry, File, decode, shown
from prefect_delivery.errors import ArtifactError

MOST_MANIFEST: Final = 256 << 20
"""Bytes of a manifest that are taken from elsewhere."""

_LENGTH = struct.Struct(">Q")


def stream(manifest: bytes, content: Callable[[str], bytes]) -> Iterator[bytes]:
    """The bytes of an artifact.

    Args:
        content: Gives the chunk of a SHA-256.
    """
    yield _LENGTH.pack(len(manifest)) + manifest
    for chunk in _lengths(decode(manifest)):
        yield content(chunk)


def read_manifest(digest: str, read: Callable[[int], bytes]) -> bytes:
    """The manifest at the beginning of the bytes of an artifact.

    Raises:
        ArtifactError: It is too long, incomplete, or that of another artifact.
    """
    (length,) = _LENGTH.unpack(_exactly(_LENGTH.size, read))
    if length > MOST_MANIFEST:
        raise ArtifactError(f"a manifest of {length} bytes is too long")
    manifest = _exactly(length, read)
    if sha256(manifest).hexdigest() != digest:
        raise ArtifactError(f"what was sent is not the artifact {digest}")
    return manifest


def read_chunks(
    tree: Sequence[Entry], read: Callable[[int], bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk of a tree, as SHA-256 and content.

    Raises:
        ArtifactError: One is incomplete, or not what the tree says.
    """
    for chunk, length in _lengths(tree).items():
        data = _exactly(length, read)
        if sha256(data).hexdigest() != chunk:
            raise ArtifactError(f"what was sent for the blob {chunk} is damaged")
        yield bytes.fromhex(chunk), data


def _lengths(tree: Sequence[Entry]) -> dict[str, int]:
    """The length of each chunk, in the order in which they come first."""
    found: dict[str, int] = {}
    for entry in tree:
        if isinstance(entry, File):
            starts = range(0, entry.size, CHUNK)
            if len(starts) != len(entry.chunks):
                raise ArtifactError(f"{shown(entry.path)} is not {entry.size} bytes")
            for chunk, start in zip(entry.chunks, starts, strict=True):
                found.setdefault(chunk, min(CHUNK, entry.size - start))
    return found


def _exactly(length: int, read: Callable[[int], bytes]) -> bytes:
    data = read(length)
    if len(data) != length:
        raise ArtifactError("what was sent ends too early")
    return data
