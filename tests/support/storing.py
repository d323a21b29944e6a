"""A process that stores an artifact while somebody interferes by strace."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore

STORE = """
import sys
from pathlib import Path
from prefect_delivery.artifacts import ArtifactStore

store, folder = ArtifactStore(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
store.put(folder)
"""

needs_strace = pytest.mark.skipif(
    not shutil.which("strace"), reason="strace is not installed"
)


def starting(store: ArtifactStore, folder: Path) -> "subprocess.Popen[str]":
    """A process that stores `folder` once it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", STORE, store.root, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@contextmanager
def traced(
    process: "subprocess.Popen[str]", log: Path, *options: str
) -> Iterator[None]:
    """Have strace attached to a process until it ends."""
    strace = subprocess.Popen(
        ["strace", "-p", str(process.pid), "-o", log, *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert strace.stderr
    assert "attached" in strace.stderr.readline()
    yield
    strace.communicate()
