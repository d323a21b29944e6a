"""Removing artifacts that nobody needs, and the content that only they had."""

import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from prefect_delivery.artifacts.durable import sync_folder
from prefect_delivery.artifacts.layout import Layout
from prefect_delivery.artifacts.manifest import File, decode
from prefect_delivery.artifacts.packs import (
    Blob,
    PackReader,
    PackWriter,
    Record,
    records,
)


def collect(layout: Layout, keep: set[str], grace: float) -> int:
    """Remove what `keep` does not need; the caller has the store for itself.

    Args:
        keep: Digests of artifacts.
        grace: Seconds since an artifact was last stored until it may go.

    Returns:
        Bytes freed.

    Raises:
        ArtifactError: A kept artifact is of a newer version; nothing was removed that
            an artifact needs.
    """
    freed = sum(map(_remove, list(layout.temporary.iterdir())))
    freed += sum(map(_remove, _unneeded(layout, keep, time.time() - grace)))
    # A manifest must not come back after a power cut once its content is gone.
    sync_folder(layout.artifacts)
    live = _live(layout)
    return freed + sum(
        _shrink(pack, live, layout) for pack in list(layout.packs.iterdir())
    )


def _unneeded(layout: Layout, keep: set[str], limit: float) -> list[Path]:
    return [
        manifest
        for manifest in layout.artifacts.iterdir()
        if manifest.name not in keep and manifest.stat().st_mtime <= limit
    ]


def _live(layout: Layout) -> set[bytes]:
    """The blobs that the artifacts need."""
    live: set[bytes] = set()
    for path in layout.artifacts.iterdir():
        manifest = path.read_bytes()
        # Of a damaged one nothing can be saved; storing it again brings its content.
        if sha256(manifest).hexdigest() == path.name:
            for entry in decode(manifest):
                if isinstance(entry, File):
                    live.update(map(bytes.fromhex, entry.chunks))
    return live


def _shrink(pack: Path, live: set[bytes], layout: Layout) -> int:
    """Rewrite a pack of which half or more is unneeded; to nothing if all of it is."""
    rows = records(pack)
    if rows is None:  # damaged or of a newer version: not ours to remove
        return 0
    needed = [row for row in rows if row.sha256 in live]
    if sum(row.length for row in needed) * 2 > sum(row.length for row in rows):
        return 0
    return _rewrite(pack, needed, layout)


def _rewrite(pack: Path, needed: list[Record], layout: Layout) -> int:
    with closing(PackWriter(layout.temporary)) as new, closing(PackReader()) as reader:
        for row in needed:
            blob = Blob(pack, row.offset, row.length)
            if (data := reader.read_intact(row.sha256, blob)) is not None:
                new.add(row.sha256, data)
        return -new.publish(layout.packs) + _remove(pack)


def _remove(path: Path) -> int:
    size = path.stat().st_size
    path.unlink()
    return size
