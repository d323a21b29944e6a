"""What is refused: trees that leave their folder, and folders that hold special files."""

import os
import re
import socket
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.intake import Intake
from prefect_delivery.artifacts.manifest import CHUNK, Entry, File, Folder, Link
from prefect_delivery.artifacts.packs import PackReader, PackWriter
from prefect_delivery.artifacts.safety import check
from prefect_delivery.artifacts.scan import scan
from prefect_delivery.errors import ArtifactError

Tree = Callable[[Mapping[str, str]], Path]

HEAD = "prefect-delivery artifact 1\n"
EMPTY = sha256(b"").hexdigest()
SMALL = sha256(b"small").hexdigest()


def test_a_fifo_is_refused_by_name(store: ArtifactStore, tree: Tree) -> None:
    source = tree({"a/b": ""})
    os.mkfifo(source / "a/pipe")

    with pytest.raises(ArtifactError, match="'a/pipe' is a fifo"):
        store.put(source)


def test_a_socket_is_refused_by_name(
    store: ArtifactStore, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree({"a": ""})
    monkeypatch.chdir(source)  # the path of a socket is limited to 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")

        with pytest.raises(ArtifactError, match="'socket' is a socket"):
            store.put(source)


def test_a_device_is_refused_by_name(store: ArtifactStore, tree: Tree) -> None:
    source = tree({"a": ""})
    try:
        os.mknod(source / "null", 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device needs more rights")

    with pytest.raises(ArtifactError, match="'null' is a character device"):
        store.put(source)


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ({"a": "/etc/passwd"}, "'a' to '/etc/passwd' leads to an absolute path"),
        ({"a": "../x"}, "outside the tree"),
        ({"d/a": "../../x"}, "outside the tree"),
        ({"a": "file/../../x"}, "outside the tree"),
        ({"a": "d/..", "b": "a/../x"}, "outside the tree"),
        ({"d/up": "..", "b": "d/up/../x"}, "outside the tree"),
        ({"a": "b", "b": "a"}, "in a circle"),
        ({"a": "a"}, "in a circle"),
        ({"a": "a/a"}, "in a circle"),
    ],
    ids=str,
)
def test_a_link_that_leaves_the_tree_is_refused(
    store: ArtifactStore, tree: Tree, links: dict[str, str], words: str
) -> None:
    source = tree({"d/x": "", "file": ""})
    for path, target in links.items():
        (source / path).symlink_to(target)

    with pytest.raises(ArtifactError, match=words):
        store.put(source)


def test_a_link_left_out_by_pattern_is_no_matter(
    store: ArtifactStore, tree: Tree
) -> None:
    source = tree({"a": "", "venv/x": ""})
    (source / "venv/python").symlink_to("/usr/bin/python3")

    store.put(source, ["**", "!venv"])


def test_a_link_counts_as_it_is_in_the_final_tree(
    store: ArtifactStore, tree: Tree
) -> None:
    source = tree({"inner/x": "", "d/y": ""})
    (source / "d/up").symlink_to("../inner/x")

    store.put(source, ["d"])


def test_a_file_that_changes_meanwhile_is_refused(tree: Tree, tmp_path: Path) -> None:
    source = tree({"log": "one line"})
    (scanned,) = scan(source)
    assert isinstance(scanned, File)
    intake = Intake(source, {}, PackWriter(tmp_path), PackReader())

    (source / "log").write_text("one line, and another")
    with pytest.raises(ArtifactError, match="'log' changed while it was being stored"):
        intake.take(scanned)

    (source / "log").write_text("")
    with pytest.raises(ArtifactError, match="'log' changed while it was being stored"):
        intake.take(scanned)


def test_a_file_that_became_a_link_meanwhile_is_not_followed(
    tree: Tree, tmp_path: Path
) -> None:
    source = tree({"file": "content"})
    (scanned,) = scan(source)
    assert isinstance(scanned, File)
    intake = Intake(source, {}, PackWriter(tmp_path), PackReader())
    (source / "file").unlink()
    (source / "file").symlink_to("/etc/hostname")

    with pytest.raises(OSError, match="symbolic links"):
        intake.take(scanned)


def test_a_missing_folder_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a folder"):
        store.put(tmp_path / "nowhere")


def test_only_an_empty_folder_is_unpacked_into(
    store: ArtifactStore, tree: Tree
) -> None:
    source = tree({"a": "1"})
    digest, _ = store.put(source)
    occupied = tree({"b": "2"})

    with pytest.raises(ArtifactError, match="is not empty"):
        store.get(digest, occupied)

    assert [path.name for path in occupied.iterdir()] == ["b"]


@pytest.mark.parametrize(
    "digest", ["", "../../etc/passwd", "0" * 63, "G" * 64, "A" * 64]
)
def test_what_is_no_digest_is_refused(store: ArtifactStore, digest: str) -> None:
    with pytest.raises(ArtifactError, match="not the digest"):
        store.has(digest)


def test_an_unknown_artifact_is_named(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact 0000"):
        store.get("0" * 64, tmp_path / "target")

    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "lines",
    [
        f"f 644 5 {SMALL} ../evil\n",
        f"f 644 5 {SMALL} /evil\n",
        f"f 644 5 {SMALL} a/../../evil\n",
        f"f 644 5 {SMALL} %2e%2e/evil\n",
        f"f 644 5 {SMALL} ..%2fevil\n",
        f"f 644 5 {SMALL} evil%00\n",
        f"f 644 5 {SMALL} a//evil\n",
        f"f 644 5 {SMALL} .\n",
        f"f 644 5 {SMALL} evil/\n",
        f"f 644 5 {SMALL} {'x' * 256}\n",
        f"f 644 5 {SMALL} %ED%A0%80\n" * 2,
        f"f 644 5 {SMALL} missing/evil\n",
        f"f 644 5 {SMALL} evil\nf 644 5 {SMALL} evil\n",
        f"f 644 5 {SMALL} b\nf 644 5 {SMALL} a\n",
        f"l .. evil\nf 644 5 {SMALL} evil/x\n",
        f"l /tmp evil\nf 644 5 {SMALL} evil/x\n",
        f"f 644 5 {SMALL} evil\nf 644 5 {SMALL} evil/x\n",
        "l /etc/passwd evil\n",
        "l ../evil evil\n",
        "l %2e%2e/evil evil\n",
        "l x%00 evil\n",
        "d 700 d\nl .. d/up\nl d/up/.. evil\n",
        f"f 4755 5 {SMALL} evil\n",
        f"f 777 5 {SMALL} evil\n",
        "d 777 evil\n",
        f"f 644 -5 {SMALL} evil\n",
        f"f 644 05 {SMALL} evil\n",
        f"f 644 {CHUNK + 1} {SMALL} evil\n",
        "f 644 5 - evil\n",
        f"f 644 0 {EMPTY} evil\n",
        "f 644 5 ../../../etc/passwd evil\n",
        f"f 644 {200 << 30} {','.join([SMALL] * (200 << 8))} evil\n",
        "p 644 evil\n",
        "\n",
        f"f 644 5 {SMALL} no-end-of-line",
        "d 755 " + "d/" * 300 + "d\n",
    ],
    ids=lambda lines: lines[:60],
)
def test_a_hostile_manifest_writes_nothing(
    store: ArtifactStore, tree: Tree, tmp_path: Path, lines: str
) -> None:
    digest = plant(store.root, tree({"x": "small"}), store, HEAD + lines)
    before = set(tmp_path.rglob("*"))

    with pytest.raises(ArtifactError):
        store.get(digest, tmp_path / "target")

    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ([Folder("..", 0o755), Link("../evil", "x")], "unsafe path '..'"),
        ([Folder(".", 0o755), Link("./evil", "x")], "unsafe path '.'"),
        ([Folder("a", 0o755), Link("a/../evil", "x")], "unsafe path 'a/../evil'"),
        ([Link("evil", "."), Link("evil/x", "x")], "'evil/x' is not in a folder"),
        ([Link("missing/evil", "x")], "'missing/evil' is not in a folder"),
        ([Link("a", "x"), Link("a", "y")], "'a' comes twice"),
        ([Link("a", "x" * 5000)], "unsafe target of the link 'a'"),
        ([Folder("/".join("d" * n), 0o755) for n in range(1, 202)], "unsafe path"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_tree_that_is_not_plain_is_refused(tree: list[Entry], words: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(words)):
        check(tree)


def test_a_chunk_of_another_length_than_the_manifest_says_is_refused(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    lines = f"f 644 3 {SMALL} lie\n"
    digest = plant(store.root, tree({"x": "small"}), store, HEAD + lines)

    with pytest.raises(ArtifactError):
        store.get(digest, tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_a_manifest_of_a_newer_version_is_refused(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    digest = plant(
        store.root, tree({"x": "small"}), store, "prefect-delivery artifact 2\n"
    )

    with pytest.raises(ArtifactError, match="prefect-delivery artifact 1"):
        store.get(digest, tmp_path / "target")


def plant(root: Path, folder: Path, store: ArtifactStore, manifest: str) -> str:
    """A manifest in the store, written by an attacker who knows its format."""
    store.put(folder)
    digest = sha256(manifest.encode()).hexdigest()
    (root / "artifacts" / digest).write_text(manifest)
    return digest
