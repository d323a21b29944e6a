"""A project that deploys to staging, and from there by promotion."""

from pathlib import Path

import pytest
from promoted_shop import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Project(folder)
    made.git("init", "-q", "-b", "main")
    ignored = [".home/", "staging/", "production/", "display/"]
    (folder / ".gitignore").write_text("\n".join(ignored))
    return made
