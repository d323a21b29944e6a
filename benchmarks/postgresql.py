"""A PostgreSQL server for Prefect and the ledger."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.harness import Missing
from benchmarks.lab import Lab, call, free_port, until


class Postgresql:
    """A server with two databases, ended with the lab.

    Attributes:
        settings: Environment variables that lead to it.

    Raises:
        Missing: PostgreSQL's server programs are not installed.
    """

    def __init__(self, lab: Lab) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found or not shutil.which("setpriv"):
            raise Missing("needs PostgreSQL's server programs and setpriv")
        programs, port = found[-1], free_port()
        # The server does not run as root, nor in a folder that only root may enter.
        folder = Path(mkdtemp(prefix="delivery-bench-"))
        lab.remove(folder)
        user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = folder / "data"
        new = ("--auth=trust", "--username=bench", "--no-sync", f"--pgdata={data}")
        call(*user, programs / "initdb", *new, environment=dict(os.environ))
        lab.start(
            *user,
            programs / "postgres",
            *("-D", data, "-k", folder, "-h", "127.0.0.1", "-p", str(port)),
            *("-c", "max_connections=300"),
            folder=lab.folder / "postgresql-log",
            environment=dict(os.environ),
        )
        socket = folder / f".s.PGSQL.{port}"
        until(socket.exists, "PostgreSQL", every=0.2)
        place = ("-h", "127.0.0.1", "-p", str(port), "-U", "bench")
        for name in ("prefect", "delivery"):
            create = (programs / "createdb", *place, name)
            call(*create, environment=dict(os.environ))
        address = f"bench@127.0.0.1:{port}"
        self.settings = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": (
                f"postgresql+asyncpg://{address}/prefect"
            ),
            "PREFECT_DELIVERY_LEDGER_URL": f"postgresql+psycopg://{address}/delivery",
        }
