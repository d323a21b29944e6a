"""A full disk is one clear error, and the next run works once there is room again."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import Shop

from prefect_delivery import control
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.settings import settings


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[Path]:
    """The folder of the workspaces, on a disk of one megabyte."""
    folder = settings().workspaces
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def failed(shop: Shop) -> Execution:
    ended = shop.drive(shop.start(), local=True)
    assert ended.status is Status.FAILED
    return ended


def test_no_space_for_the_source_is_said_and_leaves_nothing(
    shop: Shop, small_disk: Path
) -> None:
    (shop.folder / "big").write_bytes(b"x" * 3_000_000)
    shop.define()

    ended = failed(shop)

    assert "no space left" in (ended.reason or "").lower()
    assert list(small_disk.iterdir()) == []


def test_no_space_for_a_build_is_said_and_a_retry_goes_on(
    shop: Shop, small_disk: Path, tmp_path: Path
) -> None:
    less = tmp_path / "less"
    shop.define(f"""
      package:
        uses: build/commands
        outputs: {{site: ["dist/**"]}}
        with:
          commands:
            - mkdir dist
            - test -e {less} || head -c 3000000 /dev/zero > dist/big
            - touch dist/greeting
""")
    ended = failed(shop)
    less.touch()

    retried = shop.drive(control.retry(shop.ledger, "shop", by="ann"), local=True)

    assert any("no space left" in line.lower() for line in shop.lines)
    assert "Build" in (ended.reason or "")
    assert retried.status is Status.SUCCEEDED, retried.reason
