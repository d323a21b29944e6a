"""A store, and folders to fill."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from prefect_delivery.artifacts import ArtifactStore

Tree = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes a folder with these files; a path that ends with `/` is a folder."""
    count = 0

    def make(files: Mapping[str, str]) -> Path:
        nonlocal count
        count += 1
        root = tmp_path / f"tree{count}"
        root.mkdir()
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir()
            else:
                path.write_text(text)
        return root

    return make
