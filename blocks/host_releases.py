"""Releases unpacked in a folder, one of them current."""

import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

from prefect_delivery.artifacts import open_store
from prefect_delivery.artifacts.durable import sync_folder, sync_tree
from prefect_delivery.ledger import Release


class Releases:
    """`releases/<digest>` folders and the link `current`.

    Args:
        root: Folder of the environment.
    """

    def __init__(self, root: Path) -> None:
        self._link = root / "current"
        self._all = root / "releases"
        self._half = root / "half"

    def folder(self, digest: str) -> Path:
        return self._all / digest

    def unpacked(self) -> set[str]:
        """Digests of the releases that are there."""
        return {folder.name for folder in self._all.glob("*")}

    def current(self) -> str | None:
        """Digest of the release that the link leads to."""
        if not self._link.is_symlink() or not self._link.is_dir():
            return None
        return self._link.readlink().name

    def unpack(self, release: Release, fenced: AbstractContextManager[None]) -> None:
        """Unpack a release that is not there yet, whole or not at all."""
        if self.folder(release.digest).is_dir():
            return
        # Nobody sees the half one, so it needs no fence; the store verifies each byte.
        half = self._half / uuid4().hex
        self._half.mkdir(parents=True, exist_ok=True)
        store = open_store()
        try:
            store.get(release.artifact.digest, half)
            # A power cut must not leave the final name to files that are empty.
            sync_tree(half)
            with fenced:
                self._all.mkdir(exist_ok=True)
                half.rename(self.folder(release.digest))
                sync_folder(self._all)
        finally:
            shutil.rmtree(half, ignore_errors=True)

    def make_current(self, digest: str) -> None:
        """Switch the link; whoever follows it meets the old release or the new one."""
        os.utime(self.folder(digest))
        if self.current() != digest:
            new = self._link.with_name(".current.new")
            new.unlink(missing_ok=True)
            new.symlink_to(Path("releases") / digest)
            new.replace(self._link)
            sync_folder(self._link.parent)

    def remove(self, digest: str) -> None:
        """Remove a release, and the link when it leads to it."""
        if self._link.is_symlink() and self._link.readlink().name == digest:
            self._link.unlink()
        self._drop(digest)
        shutil.rmtree(self._half, ignore_errors=True)

    def tidy(self, keep: int) -> None:
        """Remove what is older than the `keep` releases before the current one.

        Releases are as old as their last commit. What a killed process left half
        unpacked goes as well.
        """
        folders = sorted(self._all.iterdir(), key=_age, reverse=True)
        earlier = [one.name for one in folders if one.name != self.current()]
        for digest in earlier[keep:]:
            self._drop(digest)
        shutil.rmtree(self._half, ignore_errors=True)

    def _drop(self, digest: str) -> None:
        if self.folder(digest).is_dir():
            self._half.mkdir(exist_ok=True)
            # Renamed first, so that a half removed release is never taken for whole.
            gone = self.folder(digest).rename(self._half / uuid4().hex)
            shutil.rmtree(gone, ignore_errors=True)


def _age(folder: Path) -> float:
    return folder.stat().st_mtime
