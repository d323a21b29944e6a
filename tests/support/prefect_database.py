"""An empty database for a Prefect server, which then has no migrations to do."""

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))


def put_empty_database(file: Path) -> None:
    """Copy one there; it is made once for this machine and version of Prefect."""
    template = CACHE / "prefect-delivery" / f"prefect-{version('prefect')}.db"
    template.parent.mkdir(parents=True, exist_ok=True)
    with template.with_suffix(".lock").open("w") as lock:
        # Tests that run side by side want the same.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            _make(template)
    shutil.copy(template, file)


def _make(template: Path) -> None:
    with TemporaryDirectory(dir=template.parent) as home:
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env={"PATH": os.environ["PATH"], "PREFECT_HOME": home},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        Path(home, "prefect.db").rename(template)
