"""What is stored comes back, and equal trees are one artifact."""

import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.manifest import CHUNK

Tree = Callable[[Mapping[str, str]], Path]

Spec = dict[str, "Spec | tuple[bytes, int]"]

names = (
    st.one_of(
        st.sampled_from(
            ["a", "-rf", "a b", "new\nline", "ünïcödé", "\\", "%41", "a-", "$(id)"]
        ),
        st.binary(min_size=1, max_size=12).map(os.fsdecode),
    )
    .map(lambda name: name.replace("/", "_").replace("\0", "_"))
    .filter(lambda name: name not in (".", ".."))
)
files = st.tuples(st.binary(max_size=40), st.sampled_from([0o644, 0o755, 0o600, 0o700]))
trees = st.recursive(
    st.dictionaries(names, files, max_size=4),
    lambda inner: st.dictionaries(names, st.one_of(files, inner), max_size=4),
    max_leaves=20,
)


def build(folder: Path, spec: Spec) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in spec.items():
        if isinstance(content, dict):
            build(folder / name, content)
        else:
            (folder / name).write_bytes(content[0])
            (folder / name).chmod(content[1])


def listing(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Every path below `folder` with its kind, mode and content."""
    found = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if path.is_symlink():
            # `Path.readlink` would tidy the target up.
            what = ("link", 0, os.fsencode(os.readlink(path)))  # noqa: PTH115
        elif path.is_dir():
            what = ("folder", stat.S_IMODE(mode), b"")
        else:
            what = ("file", stat.S_IMODE(mode), path.read_bytes())
        found[str(path.relative_to(folder))] = what
    return found


@settings(deadline=None, max_examples=60)
@given(spec=trees)
def test_any_tree_comes_back_as_it_was(spec: Spec) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch, "source"), Path(scratch, "target")
        build(source, spec)
        store = ArtifactStore(Path(scratch, "store"))

        digest, size = store.put(source)
        store.get(digest, target)

        assert listing(target) == listing(source)
        assert size == store.size(digest) == _bytes(spec)


def _bytes(spec: Spec) -> int:
    return sum(
        _bytes(content) if isinstance(content, dict) else len(content[0])
        for content in spec.values()
    )


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_file_of_any_size_comes_back(
    store: ArtifactStore, tmp_path: Path, size: int
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    content = os.urandom(size)
    (source / "file").write_bytes(content)

    store.get(store.put(source)[0], tmp_path / "target")

    assert (tmp_path / "target/file").read_bytes() == content


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        (0o644, 0o644),
        (0o664, 0o644),
        (0o444, 0o644),
        (0o775, 0o755),
        (0o4755, 0o755),
        (0o2711, 0o755),
        (0o600, 0o600),
        (0o400, 0o600),
        (0o700, 0o700),
    ],
)
def test_of_a_mode_is_kept_who_may_execute_and_whether_it_is_private(
    store: ArtifactStore, tree: Tree, tmp_path: Path, mode: int, kept: int
) -> None:
    source = tree({"file": "content"})
    (source / "file").chmod(mode)

    store.get(store.put(source)[0], tmp_path / "target")

    assert stat.S_IMODE((tmp_path / "target/file").stat().st_mode) == kept


def test_a_private_folder_stays_private(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    source = tree({"private/file": "", "public/file": ""})
    (source / "private").chmod(0o700)
    (source / "public").chmod(0o2775)

    store.get(store.put(source)[0], tmp_path / "target")

    assert stat.S_IMODE((tmp_path / "target/private").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "target/public").stat().st_mode) == 0o755


def test_links_within_the_tree_and_empty_folders_stay(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    source = tree({"bin/tool": "tool", "empty/": ""})
    (source / "tool").symlink_to("bin/tool")
    (source / "bin/again").symlink_to("..//./tool")
    (source / "current").symlink_to("bin")
    (source / "bin/dangling").symlink_to("../not-yet")

    store.get(store.put(source)[0], tmp_path / "target")

    assert listing(tmp_path / "target") == listing(source)
    assert (tmp_path / "target/bin/again").read_text() == "tool"


def test_hard_links_become_files_of_their_own(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    source = tree({"one": "content"})
    (source / "two").hardlink_to(source / "one")

    store.get(store.put(source)[0], tmp_path / "target")

    assert (tmp_path / "target/one").stat().st_nlink == 1
    assert (tmp_path / "target/two").read_text() == "content"


def test_the_digest_depends_on_content_only(store: ArtifactStore, tree: Tree) -> None:
    ours = tree({"b/x": "1", "a": "2", "b-": "3"})
    theirs = tree({"b-": "3", "a": "2", "b/x": "1"})
    os.utime(theirs / "a", (1, 1))
    (theirs / "a").chmod(0o664)
    os.chown(theirs / "a", os.getuid(), os.getgid())

    assert store.put(ours) == store.put(theirs)


@pytest.mark.parametrize(
    "other",
    [{"a": "2"}, {"b": "1"}, {"a": "1", "c/": ""}, {"a/": ""}, {}],
    ids=["content", "name", "folder", "kind", "nothing"],
)
def test_different_trees_have_different_digests(
    store: ArtifactStore, tree: Tree, other: dict[str, str]
) -> None:
    assert store.put(tree({"a": "1"}))[0] != store.put(tree(other))[0]


def test_a_second_version_costs_what_changed(
    store: ArtifactStore, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(100):
        (source / str(number)).write_bytes(os.urandom(10_000))
    (source / "big").write_bytes(os.urandom(3 * CHUNK))
    store.put(source)
    before = stored(store)

    (source / "7").write_bytes(os.urandom(10_000))
    with (source / "big").open("r+b") as big:
        big.write(b"changed")
    store.put(source)

    assert 10_000 + CHUNK < stored(store) - before < 40_000 + CHUNK


def test_storing_the_same_again_stores_nothing(
    store: ArtifactStore, tree: Tree
) -> None:
    source = tree({"a": "same", "b": "same", "c": "other"})
    store.put(source)
    before = stored(store)

    store.put(source)

    assert stored(store) == before


def stored(store: ArtifactStore) -> int:
    return sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file())


def test_a_store_and_what_it_holds_are_private_and_read_only(
    store: ArtifactStore, tree: Tree
) -> None:
    digest, _ = store.put(tree({"a": "1"}))

    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert not (store.root / "artifacts" / digest).stat().st_mode & 0o222
    assert not any(
        pack.stat().st_mode & 0o222 for pack in (store.root / "packs").iterdir()
    )


def test_a_store_knows_what_it_has(store: ArtifactStore, tree: Tree) -> None:
    digest, _ = store.put(tree({"a": "1"}))

    assert store.has(digest)
    assert not store.has("0" * 64)
