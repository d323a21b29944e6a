"""What a shared store needs of a service that keeps objects by key."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol


class Stored(NamedTuple):
    """An object.

    Attributes:
        size: Bytes.
        modified: When it was written last, by the service's clock.
    """

    key: str
    size: int
    modified: datetime


class Objects(Protocol):
    """Objects by key, whole or not there at all. All methods raise `ArtifactError`."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """The objects whose keys begin so."""
        ...

    def stat(self, key: str) -> Stored | None:
        """An object without its content, if it is there."""
        ...

    def read(self, key: str, at: int = 0, length: int | None = None) -> bytes | None:
        """The bytes of an object from an offset; None when it is not there."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Make an object, in place of any that has the key."""
        ...

    def create(self, key: str, file: Path) -> None:
        """Make an object of a file, unless there is one with this key."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        ...
