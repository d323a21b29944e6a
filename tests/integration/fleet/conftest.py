"""Fleets of folders on this machine."""

from pathlib import Path

import pytest
from fleet_work import Fleet


@pytest.fixture
def single(home: Path, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, 1)


@pytest.fixture
def three(home: Path, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, 3)
