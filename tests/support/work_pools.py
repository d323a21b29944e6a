"""Work pools, their workers, and the runs that tests ask for."""

import json
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from deployed import Machine, alive, until
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import FlowRun
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling


@dataclass
class Pool:
    """A work pool, what is deployed to it, and a folder where its runs note things.

    Attributes:
        worker: The one that was started last.
    """

    name: str
    machine: Machine
    client: SyncPrefectClient
    notes: Path
    worker: "Worker | None" = None
    _deployed: dict[str, UUID] = field(default_factory=dict[str, UUID])

    @property
    def exists(self) -> bool:
        try:
            self.client.read_work_pool(self.name)
        except ObjectNotFound:
            return False
        return True

    def work(self, *command: str, log: str | None = None) -> "Worker":
        """Start a worker and wait until it says that it works."""
        log = log or self.name
        process = self.machine.start(*command, log=log)
        until(lambda: "started!" in self.machine.output(log)[0], "the worker")
        self.worker = Worker(self.machine, log, psutil.Process(process.pid))
        return self.worker

    def ask(self, entrypoint: str, **options: Any) -> "Run":
        """Ask for a run of a flow; `job` are its job variables, `queue` is its queue."""
        job, queue = options.pop("job", None), options.pop("queue", None)
        if entrypoint not in self._deployed:
            self._deployed[entrypoint] = self.deploy(entrypoint)
        made = self.client.create_flow_run_from_deployment(
            self._deployed[entrypoint],
            parameters={"folder": str(self.notes), **options},
            job_variables=job,
            work_queue_name=queue,
        )
        assert made.created
        return Run(self, made.id, made.created.timestamp())

    def deploy(self, entrypoint: str) -> UUID:
        """Make a deployment of a flow, for which the pool is made."""
        if not self.exists:
            self.client.create_work_pool(
                WorkPoolCreate(name=self.name, type="delivery")
            )
        assert self.machine.url
        # Prefect's own worker copies the folder that we are in, for each run.
        folder = self.machine.folder / "empty"
        folder.mkdir(exist_ok=True)
        with chdir(folder), temporary_settings({PREFECT_API_URL: self.machine.url}):
            made: Any = RunnerDeployment.from_entrypoint(
                entrypoint, name=self.name, work_pool_name=self.name
            ).apply()
        return UUID(str(made))


@dataclass
class Worker:
    """A worker that runs."""

    machine: Machine
    log: str
    process: psutil.Process

    @property
    def output(self) -> str:
        return "".join(self.machine.output(self.log))

    @property
    def forker(self) -> psutil.Process:
        (found,) = [
            child
            for child in self.process.children()
            if "prefect_delivery.deployments.forker" in child.cmdline()
        ]
        return found

    def gone(self) -> int:
        """Its exit code, once it and all that it started have ended."""
        code = self.process.wait(60)
        assert code is not None
        return int(code)


@dataclass
class Run:
    """A run that was asked for.

    Attributes:
        created: When Prefect's server took it.
    """

    pool: Pool
    id: UUID
    created: float

    def note(self, kind: str) -> dict[str, Any]:
        """What it noted, once it has."""
        file = self.pool.notes / f"{self.id}.{kind}"
        until(file.exists, f"the note '{kind}'")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def noted(self, kind: str) -> bool:
        return (self.pool.notes / f"{self.id}.{kind}").exists()

    def process(self) -> psutil.Process:
        return psutil.Process(self.note("begun")["pid"])

    def stands(self) -> FlowRun:
        return self.pool.client.read_flow_run(self.id)

    def in_state(self, name: str) -> FlowRun:
        until(lambda: self.stands().state_name == name, f"the state {name}")
        return self.stands()

    def ended(self) -> FlowRun:
        def is_final() -> bool:
            state = self.stands().state
            return state is not None and state.is_final()

        until(is_final, "the run's end")
        return self.stands()

    def cancel(self) -> None:
        self.pool.client.set_flow_run_state(self.id, Cancelling())

    def nothing_is_left(self) -> None:
        """Wait for the end of its process, and of the one that it started."""
        begun = self.note("begun")
        for pid in (begun["pid"], begun["helper"]):
            until(lambda pid=pid: not _lives(pid), f"the end of {pid}")  # type: ignore[misc]


def _lives(pid: int) -> bool:
    try:
        return bool(alive([psutil.Process(pid)]))
    except psutil.NoSuchProcess:
        return False
