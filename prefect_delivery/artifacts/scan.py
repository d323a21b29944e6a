"""What a folder holds, without reading its files."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from prefect_delivery.artifacts.manifest import Entry, File, Folder, Link, order, shown
from prefect_delivery.errors import ArtifactError

_KINDS = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}


def scan(folder: Path) -> list[Entry]:
    """Everything below `folder`, in manifest order; links are not followed.

    Files come with their size and without chunks. Of the modes only the difference
    between executable and not, private and not is kept; owners, times, extended
    attributes and holes are not, and hard links become files of their own.

    Raises:
        ArtifactError: There is no such folder, or it holds a fifo, socket or device.
    """
    if not folder.is_dir():
        raise ArtifactError(f"{shown(str(folder))} is not a folder")
    return sorted(_below(str(folder)), key=order)


def _below(folder: str) -> Iterator[Entry]:
    todo = [("", folder)]
    while todo:
        prefix, here = todo.pop()
        with os.scandir(here) as children:
            for child in children:
                entry = _entry(prefix + child.name, child)
                if isinstance(entry, Folder):
                    todo.append((entry.path + "/", child.path))
                yield entry


def _entry(path: str, found: os.DirEntry[str]) -> Entry:
    if found.is_symlink():
        # `Path.readlink` would tidy the target up.
        return Link(path, os.readlink(found.path))  # noqa: PTH115
    status = found.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return Folder(path, 0o755 if status.st_mode & 0o077 else 0o700)
    if stat.S_ISREG(status.st_mode):
        return File(path, _mode(status.st_mode), status.st_size, ())
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "special file")
    raise ArtifactError(
        f"{shown(path)} is a {kind}; only files, folders and links can be kept"
    )


def _mode(mode: int) -> int:
    everybody = 0o755 if mode & stat.S_IXUSR else 0o644
    return everybody if mode & 0o077 else everybody & 0o700
