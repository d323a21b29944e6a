"""Full disks, file size limits and memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.artifacts.manifest import File
from prefect_delivery.artifacts.safety import MAX_BYTES, check
from prefect_delivery.errors import ArtifactError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk],
        capture_output=True,
        check=False,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_named_and_leaves_nothing_half_done(
    small_disk: Path, tmp_path: Path
) -> None:
    store = ArtifactStore(small_disk / "store")
    source = tmp_path / "source"
    source.mkdir()
    (source / "small").write_bytes(os.urandom(1000))
    first, _ = store.put(source)
    (source / "large").write_bytes(os.urandom(2 << 20))

    with pytest.raises(ArtifactError, match="no space left in the artifact store"):
        store.put(source)

    assert list((store.root / "temporary").iterdir()) == []
    assert [path.name for path in (store.root / "artifacts").iterdir()] == [first]
    store.verify(first)


def test_a_store_on_a_full_disk_works_again_once_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    store = ArtifactStore(small_disk / "store")
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(600_000))
    first, _ = store.put(source)
    (source / "file").write_bytes(os.urandom(600_000))
    with pytest.raises(ArtifactError, match="no space left"):
        store.put(source)

    store.collect(set(), grace=0)
    second, _ = store.put(source)

    assert not store.has(first)
    store.verify(second)


def test_a_full_target_is_named_and_emptied(
    store: ArtifactStore, small_disk: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(2 << 20))
    digest, _ = store.put(source)

    with pytest.raises(ArtifactError, match=f"no space left in {small_disk}/target"):
        store.get(digest, small_disk / "target")

    assert list(small_disk.iterdir()) == []


def test_a_limit_on_file_sizes_is_no_space(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(100_000))

    ended = run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            store.put(source)
        except ArtifactError as error:
            print(error, list((store.root / "temporary").iterdir()))
        """,
        tmp_path,
    )

    assert ended.startswith("no space left in the artifact store")
    assert ended.endswith("[]")


def test_memory_does_not_grow_with_the_size_of_files(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (8, 200):
        folder = tmp_path / str(megabytes)
        (folder / "source").mkdir(parents=True)
        with (folder / "source/large").open("wb") as large:
            for _ in range(megabytes // 8):
                large.write(os.urandom(8_000_000))
        peaks.append(
            int(
                run(
                    """
            import resource
            store.get(store.put(source)[0], root / "target")
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
            """,
                    folder,
                )
            )
        )

    small_peak, large_peak = peaks
    assert large_peak - small_peak < 20


def test_a_tree_made_to_fill_a_disk_is_refused() -> None:
    bomb = File("zeros", 0o644, MAX_BYTES + 1, ())

    with pytest.raises(ArtifactError, match="too many for an artifact"):
        check([bomb])


def run(code: str, root: Path) -> str:
    """What a Python process prints that has a store and a source in `root`."""
    head = (
        "import sys; from pathlib import Path\n"
        "from prefect_delivery.artifacts import ArtifactStore\n"
        "from prefect_delivery.errors import ArtifactError\n"
        "root = Path(sys.argv[1]); source = root / 'source'\n"
        "store = ArtifactStore(root / 'store')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", head + dedent(code), root],
        check=True,
        capture_output=True,
        text=True,
    )
    return ended.stdout.strip()
