"""Sources to build, and jobs that keep their log."""

from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_delivery.actions import Artifact, Job


@pytest.fixture
def source_of(home: Path, tmp_path: Path) -> Callable[[dict[str, str]], Artifact]:
    """Makes an artifact of files by path."""

    def make(files: dict[str, str]) -> Artifact:
        folder = tmp_path / "source"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return Artifact.of(folder)

    return make


@pytest.fixture
def source(source_of: Callable[[dict[str, str]], Artifact]) -> Artifact:
    return source_of({"a.txt": "hello\n", "sub/b.txt": "there\n"})


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def job(log: list[str], tmp_path: Path) -> Job:
    return Job(key="e1/Build/package", log=log.append, workspaces=tmp_path / "work")
