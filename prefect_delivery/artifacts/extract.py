"""Writing a tree into a folder, and never outside of it."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from prefect_delivery.artifacts.durable import write_all
from prefect_delivery.artifacts.manifest import Entry, File, Folder, Link, shown
from prefect_delivery.errors import ArtifactError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def extract(tree: Sequence[Entry], folder: Path, read: Callable[[str], bytes]) -> None:
    """Write a checked tree into `folder`, which must be empty or missing.

    Each name is created in the opened folder it belongs to, following no link, and
    links are made last: nothing is ever written through one.

    Args:
        read: Gives the content of a chunk by its SHA-256.

    Raises:
        ArtifactError: `folder` is not empty, or `read` failed; it is then as before.
    """
    with _empty(folder), _Position(folder) as position:
        for entry in tree:
            if isinstance(entry, Folder):
                position.make_folder(entry)
            elif isinstance(entry, File):
                position.make_file(entry, read)
        for entry in tree:
            if isinstance(entry, Link):
                position.make_link(entry)


@contextmanager
def _empty(folder: Path) -> Iterator[None]:
    """Have an empty folder, or again none when what follows fails."""
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ArtifactError(f"the folder {shown(str(folder))} is not empty")
    try:
        yield
    except BaseException:
        _clear(folder)
        if is_new:
            folder.rmdir()
        raise


def _clear(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


class _Position:
    """The folder that is being filled, and those above it, all open."""

    def __init__(self, root: Path) -> None:
        self._handles = [os.open(root, os.O_RDONLY | os.O_DIRECTORY)]
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            os.close(handle)

    def make_folder(self, entry: Folder) -> None:
        parent, name = self._go_to(entry.path)
        os.mkdir(name, 0o700, dir_fd=parent)
        self._enter(name)
        os.fchmod(self._handles[-1], entry.mode)

    def make_file(self, entry: File, read: Callable[[str], bytes]) -> None:
        parent, name = self._go_to(entry.path)
        handle = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            for chunk in entry.chunks:
                write_all(handle, read(chunk))
            os.fchmod(handle, entry.mode)
        finally:
            os.close(handle)

    def make_link(self, entry: Link) -> None:
        parent, name = self._go_to(entry.path)
        os.symlink(entry.target, name, dir_fd=parent)

    def _go_to(self, path: str) -> tuple[int, str]:
        """Open the folder of `path`; its handle, and the last name of `path`."""
        *folders, name = path.split("/")
        while self._names != folders[: len(self._names)]:
            self._names.pop()
            os.close(self._handles.pop())
        for folder in folders[len(self._names) :]:
            self._enter(folder)
        return self._handles[-1], name

    def _enter(self, name: str) -> None:
        self._handles.append(os.open(name, _FOLDER, dir_fd=self._handles[-1]))
        self._names.append(name)
