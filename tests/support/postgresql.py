"""A PostgreSQL server of our own, in a temporary folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from sqlalchemy import create_engine, text

from prefect_delivery.ledger import Ledger

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
MISSING = not FOUND or not shutil.which("setpriv")
TEMPLATE = "an_empty_ledger"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that can be stopped and started.

    Attributes:
        port: On loopback; without one it has a socket in its folder only.
    """

    programs: Path
    folder: Path
    port: int | None = None

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg://delivery@/{database}?host={self.folder}"

    def new_database(self, name: str | None = None, *, like: str = "template1") -> str:
        """The URL of a new database."""
        name = name or f"ledger_{uuid4().hex}"
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like}"))
        engine.dispose()
        return self.url_of(name)

    def make_template(self) -> None:
        """Make the ledger that new ones are copies of."""
        Ledger(self.new_database(TEMPLATE)).close()

    def new_ledger(self) -> str:
        """The URL of an empty ledger in a database of its own."""
        return self.new_database(like=TEMPLATE)

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
        listen = "listen_addresses=''"
        if self.port:
            listen = f"listen_addresses=127.0.0.1 -c port={self.port}"
        options = f"-c {listen} -c fsync=off -k {self.folder}"
        log = f"--log={self.folder / 'log'}"
        self.run("pg_ctl", "start", "--wait", "--silent", log, f"--options={options}")

    def stop(self) -> None:
        """End it as a crash would: connections break, nothing is written down."""
        self.run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")


@contextmanager
def postgresql_server(port: int | None = None) -> Iterator[Server]:
    """A running server with a superuser `delivery`, removed at the end."""
    # A socket's path has 107 characters at most, which pytest's folders can exceed.
    folder = Path(mkdtemp(prefix="postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(FOUND[-1].parent, folder, port)
    server.run("initdb", "--auth=trust", "--username=delivery", "--no-sync")
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
