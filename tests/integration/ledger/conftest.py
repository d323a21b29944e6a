"""A PostgreSQL server of our own, on a socket in a temporary folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that can be stopped and started."""

    programs: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://delivery@/postgres?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as its user: it refuses to run as root."""
        as_user = [
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ]
        subprocess.run(
            [
                *(as_user if os.geteuid() == 0 else []),
                str(self.programs / program),
                f"--pgdata={self.folder / 'data'}",
                *arguments,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        options = f"-c listen_addresses='' -c fsync=off -k {self.folder}"
        log = f"--log={self.folder / 'log'}"
        self.run("pg_ctl", "start", "--wait", "--silent", log, f"--options={options}")

    def stop(self) -> None:
        """End it as a crash would: connections break, nothing is written down."""
        self.run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A running server with a superuser `delivery`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or not shutil.which("setpriv"):
        pytest.skip("needs PostgreSQL's server programs and setpriv")
    # A socket's path has 107 characters at most, which pytest's folders can exceed.
    folder = Path(mkdtemp(prefix="postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(found[-1].parent, folder)
    server.run("initdb", "--auth=trust", "--username=delivery", "--no-sync")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)
