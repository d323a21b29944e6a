"""Files that appear whole or not at all, and still do after a power cut."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from prefect_delivery.errors import ArtifactError

# EFBIG is what a write beyond `ulimit -f` gives: Python ignores SIGXFSZ.
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BATCH = 1 << 20


class NewFile:
    """A read-only file to be, in a folder for temporary ones.

    `close` removes it unless `publish` has given it its name.

    Attributes:
        size: Bytes written so far.
    """

    def __init__(self, temporary: Path) -> None:
        self.size = 0
        self._path = temporary / uuid4().hex
        self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        self._pending: list[bytes] = []
        self._waiting = 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self._pending.append(data)
        self._waiting += len(data)
        self.size += len(data)
        if self._waiting >= _BATCH:
            self._flush()

    def publish(self, path: Path) -> None:
        """Give it its name for good, in place of any file that has it."""
        self._flush()
        os.fsync(self._handle)
        self._path.replace(path)
        sync_folder(path.parent)

    def close(self) -> None:
        """Remove it if it was not published."""
        os.close(self._handle)
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        write_all(self._handle, b"".join(self._pending))
        self._pending.clear()
        self._waiting = 0


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`; the kernel may take less at a time."""
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, data[written:])


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make all files and names below `folder` survive a power cut."""
    for place, _, files in os.walk(folder):
        for name in files:
            path = Path(place, name)
            if not path.is_symlink():
                handle = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        sync_folder(Path(place))


@contextmanager
def explained(what: str, where: str) -> Iterator[None]:
    """Say what a failed system call means: no space in `where`, or `what` failed.

    Raises:
        ArtifactError: In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise ArtifactError(
                f"no space left in {where}", hint="free space on its disk and try again"
            ) from error
        name = f": {error.filename!r}" if error.filename else ""
        reason = (error.strerror or str(error)).lower()
        raise ArtifactError(f"cannot {what}: {reason}{name}") from error
