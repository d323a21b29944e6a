"""A process that is killed while it stores leaves a whole artifact or none."""

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from storing import needs_strace, starting, traced

from prefect_delivery.artifacts import ArtifactStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(300):
        (folder / str(number)).write_text(f"content {number}\n" * number * 10)
    return folder


@pytest.fixture
def whole(folder: Path, tmp_path: Path) -> str:
    """The digest of the artifact that is being stored."""
    return ArtifactStore(tmp_path / "reference").put(folder)[0]


@needs_strace
@pytest.mark.parametrize("call", ["mkdir", "write", "fsync", "rename", "unlink"])
def test_a_kill_at_any_system_call_leaves_all_or_nothing(
    call: str, folder: Path, whole: str, tmp_path: Path
) -> None:
    for store, number in stores(tmp_path):
        process = starting(store, folder)
        kill = f"inject={call}:signal=KILL:when={number}"
        with traced(process, tmp_path / "log", "-e", kill):
            process.communicate("go\n")

        expect_all_or_nothing(store, folder, whole)
        if process.returncode == 0:
            break
    assert number > 1


@pytest.mark.parametrize("seed", range(8))
def test_a_kill_at_any_time_leaves_all_or_nothing(
    seed: int, folder: Path, whole: str, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    process = starting(store, folder)
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()

    try:
        process.wait(random.Random(seed).uniform(0, 0.15))
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()

    expect_all_or_nothing(store, folder, whole)


@needs_strace
def test_content_is_on_the_disk_before_what_refers_to_it(
    folder: Path, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    store.collect(set())
    process = starting(store, folder)
    log = tmp_path / "log"
    with traced(process, log, "-y", "-e", "trace=fsync,rename"):
        process.communicate("go\n")

    calls = re.findall(r"(fsync|rename)\(.*?/store/(\w+)", log.read_text())
    assert calls == [
        ("fsync", "temporary"),
        ("rename", "temporary"),
        ("fsync", "packs"),
        ("fsync", "temporary"),
        ("rename", "temporary"),
        ("fsync", "artifacts"),
    ]


def expect_all_or_nothing(store: ArtifactStore, folder: Path, whole: str) -> None:
    if store.root.exists():
        present = {path.name for path in store.root.glob("artifacts/*")}
        assert present <= {whole}
        for digest in present:
            store.verify(digest)
    store.collect({whole}, grace=0)
    assert list(store.root.glob("temporary/*")) == []
    store.put(folder)
    store.verify(whole)


def stores(tmp_path: Path) -> Iterator[tuple[ArtifactStore, int]]:
    for number in range(1, 100):
        yield ArtifactStore(tmp_path / f"store{number}"), number
