"""Many processes use one store at the same time."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect_delivery.artifacts import ArtifactStore

Tree = Callable[[Mapping[str, str]], Path]

WRITER = """
import sys
from pathlib import Path
from prefect_delivery.artifacts import ArtifactStore

store, folder = ArtifactStore(Path(sys.argv[1])), Path(sys.argv[2])
for number in range(int(sys.argv[3])):
    (folder / "own").write_text(f"{folder} {number}")
    digest, _ = store.put(folder)
    store.verify(digest)
    print(digest)
"""


def writer(store: ArtifactStore, folder: Path, rounds: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, store.root, folder, str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_store_at_the_same_time(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    shared = {f"shared{number}": "x" * number for number in range(100)}
    folders = [tree(shared), tree(shared)]
    store.put(folders[0])

    writers = [writer(store, folder, 10) for folder in folders]
    digests = [digest for one in writers for digest in one.communicate()[0].split()]

    assert [one.returncode for one in writers] == [0, 0]
    assert len(set(digests)) == 20
    for digest in digests:
        store.verify(digest)


def test_collections_disturb_neither_writers_nor_readers(
    store: ArtifactStore, tree: Tree
) -> None:
    kept, _ = store.put(tree({"kept": "kept"}))
    one = writer(store, tree({"a": "1", "b": "2"}), 10)

    while one.poll() is None:
        store.collect({kept})
        store.verify(kept)

    assert one.returncode == 0
    assert one.stdout is not None
    for digest in one.stdout.read().split():
        store.verify(digest)


def test_one_artifact_goes_to_two_places_at_once(
    store: ArtifactStore, tree: Tree, tmp_path: Path
) -> None:
    digest, _ = store.put(tree({f"{n}": str(n) for n in range(50)}))
    targets = [tmp_path / "staging", tmp_path / "production"]

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda target: store.get(digest, target), targets))

    assert {store.put(target)[0] for target in targets} == {digest}
