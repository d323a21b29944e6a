"""Damage is found before any use, named, and healed by storing the artifact again."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.packs import records
from prefect_delivery.errors import ArtifactError

Tree = Callable[[Mapping[str, str]], Path]

FILES = {"a": "content of a", "b/c": "content of c"}


def flip(path: Path, position: int) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_any_changed_bit_is_found(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    digest, _ = store.put(tree(FILES))

    for path, position in every_byte(store):
        flip(path, position)
        with pytest.raises(ArtifactError, match=digest):
            store.verify(digest)
        with pytest.raises(ArtifactError, match=digest):
            store.get(digest, tmp_path / "target")
        assert not (tmp_path / "target").exists()
        flip(path, position)

    store.verify(digest)


def every_byte(store: ArtifactStore) -> Iterator[tuple[Path, int]]:
    for folder in ("artifacts", "packs"):
        path = only(store.root / folder)
        for position in range(path.stat().st_size):
            yield path, position


def test_a_damaged_blob_is_named(store: ArtifactStore, tree: Tree) -> None:
    digest, _ = store.put(tree({"a": "content of a"}))
    pack = only(store.root / "packs")
    index = records(pack)
    assert index is not None

    flip(pack, index[0].offset)

    with pytest.raises(
        ArtifactError, match=f"{digest} .* {index[0].sha256.hex()} is damaged"
    ):
        store.verify(digest)


@pytest.mark.parametrize("where", ["artifacts", "packs"])
@pytest.mark.parametrize("position", [0, 30, -1])
def test_storing_again_heals(
    store: ArtifactStore, tree: Tree, where: str, position: int
) -> None:
    source = tree(FILES)
    digest, _ = store.put(source)
    flip(only(store.root / where), position)

    store.put(source)

    store.verify(digest)


@pytest.mark.parametrize("where", ["artifacts", "packs"])
@pytest.mark.parametrize("length", [0, 10])
def test_storing_again_heals_what_was_cut_off(
    store: ArtifactStore, tree: Tree, where: str, length: int
) -> None:
    source = tree(FILES)
    digest, _ = store.put(source)
    os.truncate(only(store.root / where), length)
    with pytest.raises(ArtifactError, match=digest):
        store.verify(digest)

    store.put(source)

    store.verify(digest)


def test_a_lost_pack_is_found_and_healed(store: ArtifactStore, tree: Tree) -> None:
    source = tree(FILES)
    digest, _ = store.put(source)
    only(store.root / "packs").unlink()

    with pytest.raises(ArtifactError, match="is missing"):
        store.verify(digest)
    store.put(source)

    store.verify(digest)


def test_another_copy_serves_when_one_is_damaged(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    source = tree(FILES)
    digest, _ = store.put(source)
    other = ArtifactStore(tmp_path / "other")
    other.put(source)
    copy = only(other.root / "packs")
    for pack in list((store.root / "packs").iterdir()):
        flip(pack, 0)
    (store.root / "packs" / copy.name).write_bytes(copy.read_bytes())

    store.get(digest, tmp_path / "target")

    assert (tmp_path / "target/a").read_text() == "content of a"


def test_damage_found_midway_empties_the_folder_again(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    digest, _ = store.put(tree({"d/a": "first", "z": "last"}))
    pack = only(store.root / "packs")
    index = records(pack)
    assert index is not None
    flip(pack, index[-1].offset)
    target = tmp_path / "target"
    target.mkdir()

    with pytest.raises(ArtifactError):
        store.get(digest, target)

    assert list(target.iterdir()) == []
