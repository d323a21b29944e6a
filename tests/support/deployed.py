"""A Prefect server and workers of the tests' own, and a machine that uses them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
from git_http import free_port
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import FlowRun
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.states import Cancelling
from prefect_database import put_empty_database
from repository import Shop
from ruamel.yaml import YAML
from warm_commands import deliver

from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

BIN = Path(sys.executable).parent
PATIENCE = 120.0
"""Seconds that something may take on a busy machine."""


def until(
    holds: Callable[[], object],
    what: str = "it",
    patience: float = PATIENCE,
    every: float = 0.05,
) -> None:
    """Return once `holds` says something true, asked again after so many seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"{what} does not come to that"
        time.sleep(every)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process, and all that came of it, as a person who has no time would."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    process.kill()
    for child in below:
        if child.is_running():
            child.kill()
    process.wait()


@dataclass
class Server:
    """A Prefect server on a port and a database of its own.

    Attributes:
        home: Its folder.
        url: Of its API.
    """

    home: Path
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        """Start it, or start it again on the same port and database."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.home / "prefect.db").exists():
            put_empty_database(self.home / "prefect.db")
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "prefect", "server", "start", "--port", str(self.port)],
                env={
                    **clean(os.environ),
                    "PREFECT_HOME": str(self.home),
                    "PREFECT_UI_API_URL": self.url,
                    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                    "DO_NOT_TRACK": "1",
                },
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self.answers, "the server")

    def answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, "it has ended"
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """Kill it, without a word to anybody."""
        if self._process:
            end(self._process)
            self._process = None


@dataclass
class Machine:
    """A machine with Prefect and prefect-delivery, seen through its commands.

    Attributes:
        folder: Where everything of it is kept.
        url: Of the API that Prefect is configured to use there, if any.
    """

    folder: Path
    url: str | None
    more: dict[str, str] = field(default_factory=dict[str, str])
    _started: "list[subprocess.Popen[bytes]]" = field(default_factory=list[Any])

    @property
    def home(self) -> Path:
        return self.folder / "delivery"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **clean(os.environ),
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_DELIVERY_HOME": str(self.home),
            "PREFECT_DELIVERY_USER": "ann",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "CI": "true",
            **({"PREFECT_API_URL": self.url} if self.url else {}),
            **self.more,
        }

    def call(
        self, *command: str, folder: Path | None = None, timeout: float = 240
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of the virtual environment until it has ended."""
        name, *arguments = command
        where, environment = folder or self.folder, self.environment
        if name == "deliver":
            return deliver(arguments, cwd=where, env=environment, timeout=timeout)
        return subprocess.run(
            [BIN / name, *arguments],
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(
        self, *command: str, folder: Path | None = None, log: str = "started"
    ) -> "subprocess.Popen[bytes]":
        """Start a command; its output goes to `<log>.out` and `<log>.err`."""
        name, *arguments = command
        with (
            (self.folder / f"{log}.out").open("wb") as out,
            (self.folder / f"{log}.err").open("wb") as err,
        ):
            process = subprocess.Popen(
                [BIN / name, *arguments],
                cwd=folder or self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self._started.append(process)
        return process

    def switch_off(self) -> None:
        """End what was started and runs still."""
        for process in self._started:
            end(process)

    def output(self, log: str = "started") -> tuple[str, str]:
        """What a started command has written to stdout and to stderr so far."""
        return (
            (self.folder / f"{log}.out").read_text(),
            (self.folder / f"{log}.err").read_text(),
        )


PREFECT_YAML = """
name: delivery
deployments:
- name: %(pool)s
  entrypoint: prefect_delivery.flows.pipeline.pipeline
  work_pool: {name: %(pool)s}
  pull: null
"""
STUBBORN = """
      package:
        uses: build/commands
        outputs: {site: ["dist/**"]}
        with:
          commands:
            - setsid sleep 651 &
            - trap "" TERM
            - touch %(mark)s
            - sleep 652
"""


@dataclass
class Deployed:
    """The pipeline flow as a deployment, with a worker that carries it out."""

    machine: Machine
    pool: str
    worker: "subprocess.Popen[bytes]"
    client: SyncPrefectClient

    def run(self, shop: Shop, home: Path, **parameters: Any) -> UUID:
        """Ask for a run of the shop's pipeline, with its definition as data."""
        text = (shop.folder / "delivery.yaml").read_text()
        deployment = self.client.read_deployment_by_name(f"pipeline/{self.pool}")
        created = self.client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"definition": YAML(typ="safe").load(text), **parameters},
            job_variables={"env": {"PREFECT_DELIVERY_HOME": str(home)}},
        )
        return created.id

    def cancel(self, flow_run: UUID) -> None:
        """What the UI does when somebody presses Cancel."""
        self.client.set_flow_run_state(flow_run, Cancelling())

    def seen(self, flow_run: UUID, *, tasks: int = 0) -> "Seen":
        """What Prefect shows of a run; see `seen_by_prefect`."""
        assert self.machine.url is not None
        return seen_by_prefect(self.machine.url, flow_run, tasks=tasks)

    def ended(self, flow_run: UUID) -> FlowRun:
        """The flow run, once Prefect takes it for ended."""

        def is_final() -> bool:
            state = self.client.read_flow_run(flow_run).state
            return state is not None and state.is_final()

        until(is_final, "the flow run")
        return self.client.read_flow_run(flow_run)


@dataclass
class Running:
    """An execution in the middle of a build that does not want to end.

    Attributes:
        process: The one that drives it.
        children: All processes that came of that one.
    """

    execution: Execution
    process: psutil.Process
    children: list[psutil.Process]

    def nothing_is_left(self) -> None:
        """Wait until no process of it lives, and check what it leaves."""
        until(lambda: not alive(self.children), "the end of all children")
        assert list(settings().workspaces.iterdir()) == []
        with Ledger.open() as ledger:
            assert ledger.executions.owner(self.execution.id) is None
            assert ledger.leases.held() == []
            assert ledger.rollouts.unfinished() == []
            ledger.audit.verify()


def stubborn(shop: Shop, mark: Path) -> None:
    """Let the shop's build be one that ends only by a kill, once it runs."""
    shop.define(STUBBORN % {"mark": mark})


def running(shop: Shop, mark: Path) -> Running:
    """Wait until the build of the shop's latest execution runs."""
    until(mark.exists, "the build")
    execution = shop.ledger.executions.find("shop")
    owner = shop.ledger.executions.owner(execution.id)
    assert owner is not None
    process = psutil.Process(int(owner.holder.split(":")[3]))

    def sleeps() -> bool:
        return "sleep" in {child.name() for child in process.children(recursive=True)}

    # The shell makes the mark before it begins to sleep.
    until(sleeps, "what the build runs")
    return Running(execution, process, process.children(recursive=True))


@contextmanager
def deploy(machine: Machine, pool: str, kind: str = "process") -> Iterator[Deployed]:
    """Deploy the pipeline flow into a pool, from a folder that holds nothing else.

    Args:
        kind: Type of the pool and its worker.
    """
    folder = machine.folder / "empty"
    folder.mkdir()
    (folder / "prefect.yaml").write_text(PREFECT_YAML % {"pool": pool})
    assert machine.url is not None
    try:
        with SyncPrefectClient(machine.url) as client:
            client.create_work_pool(WorkPoolCreate(name=pool, type=kind))
            words = ["--no-prompt", "deploy", "--all"]
            done = machine.call("prefect", *words, folder=folder)
            assert done.returncode == 0, done.stdout + done.stderr
            made = Deployed(machine, pool, start_worker(machine, pool, kind), client)
            yield made
    finally:
        machine.switch_off()


def start_worker(machine: Machine, pool: str, kind: str) -> "subprocess.Popen[bytes]":
    return machine.start(
        *["prefect", "worker", "start", "--type", kind, "--pool", pool],
        folder=machine.folder / "empty",
        log="worker",
    )


def clean(environment: "os._Environ[str]") -> dict[str, str]:
    """The environment without what configures Prefect or prefect-delivery."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("PREFECT")
    }


@dataclass
class Seen:
    """What Prefect shows of a run: its task runs by name with their states, its page."""

    flow_run: FlowRun
    tasks: dict[str, str | None]
    page: str


def seen_by_prefect(url: str, flow_run: UUID, *, tasks: int = 0) -> Seen:
    """Look at a run, once as many of its task runs as said are recorded as ended."""
    only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
    key = ArtifactFilter(key=ArtifactFilterKey(any_=["delivery-shop"]))
    with SyncPrefectClient(url) as client:

        def ended() -> dict[str, str | None]:
            found = client.read_task_runs(flow_run_filter=only)
            return {
                task.name: task.state_name
                for task in found
                if task.state and task.state.is_final()
            }

        # Prefect's server records task runs some time after they have ended.
        until(lambda: len(ended()) >= tasks, "the record of task runs")
        (page,) = client.read_artifacts(artifact_filter=key, flow_run_filter=only)
        return Seen(client.read_flow_run(flow_run), ended(), str(page.data))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended; one that waits for its parent has."""
    return [process for process in processes if process.is_running() and _goes(process)]


def _goes(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
