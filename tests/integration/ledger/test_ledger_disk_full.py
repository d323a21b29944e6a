import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger import Ledger


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_ledger_and_harms_nothing(small_disk: Path) -> None:
    with Ledger(f"sqlite:///{small_disk}/ledger.db") as ledger:
        with pytest.raises(LedgerError, match=r"no space left .* nothing was written"):
            for number in range(1000):
                ledger.environments.register("big", "host", {str(number): "x" * 5000})
        before = ledger.environments.list(), len(ledger.audit.entries(limit=10_000))

        with pytest.raises(LedgerError, match="no space left"):
            ledger.environments.register("bigger", "host", {"x": "x" * 500_000})

        after = ledger.environments.list(), len(ledger.audit.entries(limit=10_000))
        assert after == before
        ledger.audit.verify()

    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    with Ledger(f"sqlite:///{small_disk}/ledger.db") as ledger:
        ledger.environments.register("bigger", "host", {"x": "x" * 500_000})
        ledger.audit.verify()
