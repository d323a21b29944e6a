"""Row 10: the disk is full while a source is unpacked, a build writes or an artifact is
stored.

The action fails and says that no space is left. Nothing half is left under a final name,
and nothing in the workspace. With room again, a retry goes on from the failed action.

pytest tests/faults/test_row_10_disk_full.py -k "seed17-"
"""

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor import audit
from projects import Project
from seeds import seeded
from storing import needs_strace, starting, traced

from prefect_delivery import control
from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.engine.state import Status
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings


class SmallDisk:
    """A file system of some kilobytes, mounted over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mount("size=1m")

    def resize(self, kilobytes: int) -> None:
        self._mount(f"remount,size={kilobytes}k")

    def _mount(self, options: str) -> None:
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount")

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disks() -> Iterator[list[SmallDisk]]:
    """Disks that a test has mounted; they go with it."""
    made: list[SmallDisk] = []
    yield made
    for disk in made:
        disk.unmount()


@seeded()
def test_an_execution_says_that_no_space_is_left_and_can_be_retried(
    project: Project, disks: list[SmallDisk], seed: str
) -> None:
    chance = random.Random(seed)
    size = chance.randint(300, 3000)
    if chance.random() < 0.5:
        (project.folder / "big").write_bytes(chance.randbytes(size * 1000))
    project.publish("mkdir dist", f"head -c {size}000 /dev/urandom > dist/big")
    folder = chance.choice([settings().workspaces, settings().artifacts])
    disks.append(SmallDisk(folder))
    disks[0].resize(chance.randint(100, size))

    ended = project.run()
    disks[0].resize(20_000)
    left = [*settings().workspaces.iterdir()] if settings().workspaces.exists() else []
    retried = project.run(control.retry(project.ledger, "shop", by="ann"))

    assert ended.status is Status.FAILED
    said = [ended.reason or "", *project.lines]
    assert any("no space left" in line.lower() for line in said), said
    assert left == []
    assert retried.status is Status.SUCCEEDED, retried.reason
    project.audit()


@needs_strace
@seeded()
def test_an_artifact_is_stored_whole_or_not_at_all(
    home: Path, tmp_path: Path, seed: str
) -> None:
    chance = random.Random(seed)
    folder, store = tmp_path / "folder", ArtifactStore(settings().artifacts)
    folder.mkdir()
    for number in range(50):
        (folder / str(number)).write_bytes(chance.randbytes(40_000))
    whole, _ = ArtifactStore(tmp_path / "reference").put(folder)
    call = chance.choice(["mkdir", "write", "fsync", "rename"])
    fault = f"inject={call}:error=ENOSPC:when={chance.randint(1, 3)}"

    process = starting(store, folder)
    with traced(process, tmp_path / "log", "-e", fault):
        _, said = process.communicate("go\n")

    if process.returncode or "INJECTED" in (tmp_path / "log").read_text():
        assert re.search("no space left", said, re.IGNORECASE), said
    present = {path.name for path in store.root.glob("artifacts/*")}
    assert present <= {whole}
    for digest in present:
        store.verify(digest)
    assert [*store.root.glob("temporary/*")] == []
    store.put(folder)
    store.verify(whole)
    audit(Ledger.open())
