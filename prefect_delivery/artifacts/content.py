"""The content of a stored artifact, verified whenever it is read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from prefect_delivery.artifacts.manifest import Entry, File, shown
from prefect_delivery.artifacts.packs import PackReader, index
from prefect_delivery.errors import ArtifactError


class Content:
    """Reads the chunks of an artifact's files from `packs`.

    Args:
        digest: Of the artifact, for messages.

    Raises:
        ArtifactError: Some of it is missing, or a file is not as long as it says.
    """

    def __init__(self, digest: str, tree: Sequence[Entry], packs: Path) -> None:
        self._digest = digest
        self._tree = tree
        self._blobs = index(packs.iterdir(), set(map(bytes.fromhex, self.chunks())))
        self._reader = PackReader()
        for entry in tree:
            if isinstance(entry, File):
                self._check(entry)

    def chunks(self) -> Iterator[str]:
        """The SHA-256 of every chunk of every file."""
        for entry in self._tree:
            if isinstance(entry, File):
                yield from entry.chunks

    def read(self, chunk: str) -> bytes:
        """The content with this SHA-256.

        Raises:
            ArtifactError: It is damaged.
        """
        key = bytes.fromhex(chunk)
        data = self._reader.read_intact(key, self._blobs[key])
        if data is None:
            raise unusable(self._digest, f"its blob {chunk} is damaged")
        return data

    def close(self) -> None:
        self._reader.close()

    def _check(self, file: File) -> None:
        length = 0
        for chunk in file.chunks:
            blob = self._blobs.get(bytes.fromhex(chunk))
            if blob is None:
                raise unusable(self._digest, f"its blob {chunk} is missing")
            length += blob.length
        if length != file.size:
            raise unusable(self._digest, f"{shown(file.path)} is not {file.size} bytes")


def unusable(digest: str, why: str) -> ArtifactError:
    """The error for an artifact that is damaged or unsafe."""
    return ArtifactError(
        f"the artifact {digest} cannot be used: {why}",
        hint="run the action that made it again: storing it again repairs it",
    )
