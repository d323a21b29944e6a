"""The value that actions hand on: an artifact's digest and size."""

from dataclasses import dataclass
from pathlib import Path

from prefect_delivery.artifacts.opened import open_store


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A tree of files in the artifact store.

    Attributes:
        digest: SHA-256 of the tree, as 64 hexadecimal digits.
        size: Sum of the file sizes, in bytes.
    """

    digest: str
    size: int

    @classmethod
    def of(cls, folder: Path, patterns: list[str] | None = None) -> "Artifact":
        """Store `folder`, or those of its files that match `patterns`.

        Raises:
            ArtifactError: A pattern matches nothing, or the store has no room.
        """
        digest, size = open_store().put(folder, patterns)
        return cls(digest=digest, size=size)

    def unpack(self, folder: Path) -> None:
        """Write the tree into `folder`, which must be empty or missing.

        Raises:
            ArtifactError: The artifact is missing, corrupted or unsafe.
        """
        open_store().get(self.digest, folder)
