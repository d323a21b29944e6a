"""Collecting garbage frees what nobody needs, and nothing else."""

import os
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.layout import Layout
from prefect_delivery.errors import ArtifactError

Tree = Callable[[Mapping[str, str]], Path]


def stored(store: ArtifactStore) -> int:
    return sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file())


def test_what_is_not_kept_goes(store: ArtifactStore, tree: Tree) -> None:
    kept, _ = store.put(tree({"a": "kept"}))
    dropped, _ = store.put(tree({"a": "dropped"}))
    before = stored(store)

    freed = store.collect({kept}, grace=0)

    assert freed == before - stored(store) > 0
    assert not store.has(dropped)
    store.verify(kept)


def test_nothing_is_left_when_nothing_is_kept(store: ArtifactStore, tree: Tree) -> None:
    store.put(tree({"a": "1", "b/c": "2"}))
    store.put(tree({"a": "1", "b/c": "3"}))

    store.collect(set(), grace=0)

    assert [p.name for p in store.root.rglob("*") if p.is_file()] == ["lock"]


def test_content_that_a_kept_artifact_shares_stays(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    store.put(tree({"shared": "shared", "gone": "x" * 100_000}))
    kept, _ = store.put(tree({"shared": "shared", "own": "own"}))

    freed = store.collect({kept}, grace=0)

    assert freed > 100_000
    store.get(kept, tmp_path / "target")
    assert (tmp_path / "target/shared").read_text() == "shared"


def test_a_pack_that_is_mostly_needed_is_left_alone(
    store: ArtifactStore, tree: Tree
) -> None:
    store.put(tree({"big": "x" * 10_000, "small": "y"}))
    kept, _ = store.put(tree({"big": "x" * 10_000}))
    before = set((store.root / "packs").iterdir())

    store.collect({kept}, grace=0)

    assert set((store.root / "packs").iterdir()) == before


def test_what_was_stored_just_now_is_safe(store: ArtifactStore, tree: Tree) -> None:
    digest, _ = store.put(tree({"a": "1"}))

    store.collect(set())

    store.verify(digest)


def test_what_was_stored_again_just_now_is_safe(
    store: ArtifactStore, tree: Tree
) -> None:
    source = tree({"a": "1"})
    digest, _ = store.put(source)
    os.utime(store.root / "artifacts" / digest, (1, 1))
    store.put(source)

    store.collect(set())

    store.verify(digest)


def test_leftovers_of_a_crash_go(store: ArtifactStore, tree: Tree) -> None:
    store.put(tree({"a": "1"}))
    leftover = store.root / "temporary/left"
    leftover.write_bytes(b"x" * 1000)

    assert store.collect(set()) == 1000
    assert not leftover.exists()


def test_a_damaged_pack_is_not_removed(store: ArtifactStore, tree: Tree) -> None:
    kept, _ = store.put(tree({"a": "1"}))
    (pack,) = (store.root / "packs").iterdir()
    os.truncate(pack, pack.stat().st_size - 1)

    store.collect({kept}, grace=0)

    assert pack.exists()


def test_a_damaged_manifest_does_not_stop_the_collection(
    store: ArtifactStore, tree: Tree
) -> None:
    kept, _ = store.put(tree({"a": "1"}))
    other, _ = store.put(tree({"a": "2"}))
    os.truncate(store.root / "artifacts" / kept, 5)

    store.collect({kept, other}, grace=0)

    store.verify(other)


def test_an_artifact_of_a_newer_version_stops_the_collection(
    store: ArtifactStore, tree: Tree
) -> None:
    manifest = b"prefect-delivery artifact 2\n"
    newer = sha256(manifest).hexdigest()
    store.put(tree({"a": "1"}))
    (store.root / "artifacts" / newer).write_bytes(manifest)
    packs = set((store.root / "packs").iterdir())

    with pytest.raises(ArtifactError):
        store.collect({newer}, grace=0)

    assert set((store.root / "packs").iterdir()) == packs


def test_a_collection_waits_for_readers(store: ArtifactStore, tree: Tree) -> None:
    store.put(tree({"a": "1"}))
    events: list[str] = []

    def collect() -> None:
        store.collect(set(), grace=0)
        events.append("collected")

    collector = threading.Thread(target=collect)
    with Layout(store.root).shared():
        collector.start()
        while not someone_waits_for(store.root / "lock"):
            assert collector.is_alive()
        events.append("read")
    collector.join()

    assert events == ["read", "collected"]


def someone_waits_for(path: Path) -> bool:
    inode = f":{path.stat().st_ino} "
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and inode in line for line in locks)
