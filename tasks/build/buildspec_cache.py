"""Keeps the files of `cache` from build to build, as archives on this machine."""

import os
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from wcmatch import glob

from prefect_delivery.settings import settings

KEPT = 20
"""Archives of one action; the oldest are removed."""

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE
_KEY = "prefect-delivery.key"


class Cache:
    """The archives of one scope, by key.

    Args:
        scope: Whose they are: builds of another scope never see them.
    """

    def __init__(self, scope: str, log: Callable[[str], None]) -> None:
        self._folder = settings().home / "cache" / sha256(scope.encode()).hexdigest()
        self._log = log

    def restore(self, keys: list[str], paths: list[str], place: Path) -> None:
        """Unpack the archive of the first key, or the newest one another key begins."""
        found = self._found(keys)
        if found is None:
            self._log(f"no cache for '{keys[0]}'")
            return
        try:
            with tarfile.open(found) as archive:
                members = [one for one in archive if _wanted(one.name, paths)]
                archive.extractall(place, members=members, filter="data")
        except (OSError, tarfile.TarError) as error:
            # A build without its cache is slow, not wrong.
            self._log(f"the cache cannot be restored: {error}")
            return
        self._log(f"cache restored: {_key_of(found)}")

    def save(self, key: str, paths: list[str], place: Path, *, replace: bool) -> None:
        """Keep the files that match; an archive that is there stays unless replaced."""
        target = self._archive(key)
        if target.exists() and not replace:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = {
            name
            for pattern in paths
            for name in glob.glob(pattern, root_dir=place, flags=_FLAGS)
        }
        if not names:
            self._log("no file matches the paths of the cache")
            return
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, suffix=".new")
        try:
            with (
                os.fdopen(descriptor, "wb") as file,
                tarfile.open(
                    fileobj=file,
                    mode="w",
                    format=tarfile.PAX_FORMAT,
                    pax_headers={_KEY: key},
                ) as archive,
            ):
                for name in sorted(names):
                    archive.add(place / name, name, recursive=False)
            Path(temporary).replace(target)
        except OSError as error:
            self._log(f"the cache cannot be saved: {error}")
            return
        finally:
            Path(temporary).unlink(missing_ok=True)
        self._log(f"cache saved: {key}")
        for old in self._archives()[KEPT:]:
            with suppress(FileNotFoundError):
                old.unlink()

    def _found(self, keys: list[str]) -> Path | None:
        first, *others = keys
        if self._archive(first).exists():
            return self._archive(first)
        by_key = [(_key_of(path), path) for path in self._archives()] if others else []
        for prefix in others:
            for key, path in by_key:
                if key.startswith(prefix):
                    return path
        return None

    def _archive(self, key: str) -> Path:
        return self._folder / f"{sha256(key.encode()).hexdigest()}.tar"

    def _archives(self) -> list[Path]:
        found = []
        for path in self._folder.glob("*.tar"):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found, reverse=True)]


def _key_of(path: Path) -> str:
    try:
        with tarfile.open(path) as archive:
            return str(archive.pax_headers.get(_KEY, ""))
    except (OSError, tarfile.TarError):
        return ""


def _wanted(name: str, paths: list[str]) -> bool:
    return glob.globmatch(name, paths, flags=_FLAGS)
