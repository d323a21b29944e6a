"""A team's installation from the shipped files, on ports and in a folder of its own."""

import os
import shutil
import subprocess
import xmlrpc.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from deployed import BIN, clean, end, until
from git_http import free_port
from postgresql import MISSING as NO_POSTGRESQL
from postgresql import postgresql_server
from prefect.client.orchestration import SyncPrefectClient
from supervisor.xmlrpc import (  # type: ignore[import-untyped]
    SupervisorTransport,
)
from warm_commands import deliver

from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger

SHIPPED = Path(__file__).parents[2] / "deployments" / "team"
NEEDED = ["haproxy", "redis-server", "git"]
MISSING = [name for name in NEEDED if not shutil.which(name)] + (
    ["postgres"] if NO_POSTGRESQL else []
)
STARTING = 280.0
"""Seconds that everything may take to start, or to end, on a busy machine."""


@dataclass
class Redis:
    """A Redis server that keeps what it has in a file, as Debian's does."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        words = ["--bind", "127.0.0.1", "--port", str(self.port)]
        words += ["--appendonly", "yes", "--dir", str(self.folder)]
        self._process = subprocess.Popen(
            ["redis-server", *words], stdout=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass
class Installation:
    """Everything that runs, as `supervisord.conf` starts it.

    Attributes:
        folder: Holds a copy of the shipped files, and the home.
        environment: What `processes.env` makes of a clean environment.
        database: As libpq is told to reach Prefect's database.
    """

    folder: Path
    environment: dict[str, str]
    database: str
    redis: Redis
    _supervisor: "subprocess.Popen[bytes] | None" = None

    @property
    def home(self) -> Path:
        return Path(self.environment["PREFECT_DELIVERY_HOME"])

    @property
    def url(self) -> str:
        return self.environment["PREFECT_API_URL"]

    @property
    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.url)

    def ledger(self) -> Ledger:
        return Ledger(self.environment["PREFECT_DELIVERY_LEDGER_URL"])

    def call(
        self,
        *command: str,
        folder: Path | None = None,
        more: dict[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as a person who has read `processes.env`, and set `more`."""
        name, *arguments = command
        where, environment = folder or self.folder, {**self.environment, **(more or {})}
        if name == "deliver":
            return deliver(arguments, cwd=where, env=environment, timeout=240)
        return subprocess.run(
            [BIN / name, *arguments],
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def start(self) -> None:
        """Migrate, and start everything; returns when workers are online."""
        done = self.call("prefect", "server", "database", "upgrade", "-y")
        assert done.returncode == 0, done.stdout + done.stderr
        with (self.folder / "supervisord.out").open("wb") as out:
            self._supervisor = subprocess.Popen(
                [BIN / "supervisord", "-c", self.folder / "supervisord.conf"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        until(self.works, "the installation", STARTING, every=1)

    def works(self) -> bool:
        """Whether each process does what it is there for."""
        assert self._supervisor and self._supervisor.poll() is None, self.said()
        for replica in self.environment["PREFECT_DELIVERY_API_REPLICAS"].split():
            if not _answers(f"{replica}/ready"):
                return False
        proxied = self.url.removesuffix("/api") + "/delivery/health"
        return _answers(proxied) and self.workers_online() >= 2

    def workers_online(self) -> int:
        answer = httpx.post(
            f"{self.url}/work_pools/delivery/workers/filter", json={}, timeout=10
        )
        if not answer.is_success:
            return 0
        return sum(each["status"] == "ONLINE" for each in answer.json())

    def process(self, name: str) -> psutil.Process:
        """One of the processes, by its name in `supervisord.conf`."""
        group = name.partition("-")[0] if name.startswith("worker") else name
        told: Any = self._told().supervisor.getProcessInfo(f"{group}:{name}")
        return psutil.Process(int(told["pid"]))

    def kill(self, name: str) -> None:
        """End one by SIGKILL, which is then started again."""
        self.process(name).kill()

    def switch(self, name: str, on: bool) -> None:
        """Stop or start one of the processes, as an operator does."""
        supervisor: Any = self._told().supervisor
        (supervisor.startProcess if on else supervisor.stopProcess)(name, True)

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Each process with all that came of it, by name."""
        found = {}
        told: Any = self._told().supervisor.getAllProcessInfo()
        for each in told:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(each["pid"]))
                found[each["name"]] = [process, *process.children(recursive=True)]
        return found

    def connections(self) -> dict[str, int]:
        """How many connections each database has."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                "SELECT datname, count(*) FROM pg_stat_activity"
                " WHERE datname IN ('prefect', 'delivery') GROUP BY datname"
            ).fetchall()
        return {str(name): int(count) for name, count in rows}

    def ended(
        self, pipeline: str, count: int, patience: float = STARTING
    ) -> list[Execution]:
        """The executions of a pipeline, once so many are there and have ended."""
        with self.ledger() as ledger:

            def are_over() -> bool:
                return (
                    not ledger.executions.list(pipeline, open_only=True, limit=1)
                    and len(ledger.executions.list(pipeline, limit=count)) == count
                )

            until(are_over, f"the end of {count} of {pipeline}", patience, every=0.5)
            return ledger.executions.list(pipeline, limit=count)

    def said(self) -> str:
        """What every process has written."""
        logs = [self.folder / "supervisord.out", *self.home.glob("*.log")]
        return "\n".join(
            f"=== {log.name}\n{log.read_text()[-3000:]}" for log in logs if log.exists()
        )

    def stop(self) -> None:
        """End everything at once."""
        if self._supervisor:
            end(self._supervisor)

    def _told(self) -> xmlrpc.client.ServerProxy:
        socket = f"unix://{self.home / 'supervisord.sock'}"
        return xmlrpc.client.ServerProxy(
            "http://127.0.0.1", SupervisorTransport(None, None, serverurl=socket)
        )


@contextmanager
def installation(folder: Path, **more: str) -> Iterator[Installation]:
    """An installation that runs.

    Args:
        more: What differs from the shipped `processes.env` beside places and ports.
    """
    shutil.copytree(SHIPPED, folder)
    home = folder / "home"
    home.mkdir()
    ports = [str(free_port()) for _ in range(5)]
    redis = Redis(folder / "redis")
    differs = {
        "PREFECT_DELIVERY_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "DATABASE_HOST": f"127.0.0.1:{ports[4]}",
        "PREFECT_REDIS_MESSAGING_URL": f"redis://127.0.0.1:{redis.port}/0",
        "LISTEN": f"127.0.0.1:{ports[0]}",
        **dict(
            zip(["API_1_PORT", "API_2_PORT", "SERVER_PORT"], ports[1:4], strict=True)
        ),
        "SERVER_CONFIG": str(folder / "server.yaml"),
        "GITHUB_WEBHOOK_SECRET": "a secret that tests know",
        **more,
    }
    environment = _environment(folder, differs)
    with ExitStack() as stack:
        database = stack.enter_context(postgresql_server(int(ports[4])))
        for name in ("prefect", "delivery"):
            _create_database(database.folder, int(ports[4]), name)
        redis.start()
        stack.callback(redis.kill)
        made = Installation(
            folder,
            environment,
            f"host=127.0.0.1 port={ports[4]} user=delivery dbname=prefect",
            redis,
        )
        stack.callback(made.stop)
        made.start()
        yield made


def _environment(folder: Path, differs: dict[str, str]) -> dict[str, str]:
    """What a shell makes of `processes.env` with some values filled in."""
    lines = []
    for line in (folder / "processes.env.example").read_text().splitlines():
        name = line.partition("=")[0]
        value = differs.pop(name, None)
        lines.append(line if value is None else f"{name}='{value}'")
    lines += [f"{name}='{value}'" for name, value in differs.items()]
    (folder / "processes.env").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["sh", "-c", "set -a; . ./processes.env; env -0"],
        cwd=folder,
        env={
            **clean(os.environ),
            "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin",
            "HOME": str(folder),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs}


def _create_database(folder: Path, port: int, name: str) -> None:
    where = f"host={folder} port={port} user=delivery dbname=postgres"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False
