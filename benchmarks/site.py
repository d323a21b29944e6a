"""A Prefect server, and a warm worker of ours that takes runs from it."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from psutil import Process

from benchmarks.harness import memory_of
from benchmarks.lab import BIN, LIMIT, Lab, call, clean, free_port, until
from prefect_delivery.ledger import Ledger

LOOK = 0.01
"""Seconds between two looks into the ledger while a run goes on."""
ASK = 0.1
"""Seconds between two questions to Prefect's server, once the ledger says it ended."""
TRIES = 20
EVERY = 1.0
"""Seconds between two looks at memory, each of which takes the kernel some time."""
BUSY = 5
"""Runs at once from which on memory is looked at."""
WORKER = ("worker", "--limit", "10")
OVER = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


class Site:
    """A machine with a Prefect server, a ledger, and perhaps a worker.

    Args:
        name: Of its folder.
        more: Settings, as environment variables.
    """

    def __init__(self, lab: Lab, name: str, more: dict[str, str]) -> None:
        self.folder = lab.folder / name
        self._lab = lab
        self._deployments: dict[str, str] = {}
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api"
        self.environment = {
            **clean(),
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_DELIVERY_HOME": str(self.folder / "delivery"),
            "PREFECT_DELIVERY_USER": "bench",
            "PREFECT_API_URL": self.url,
            "NO_COLOR": "1",
            **more,
        }
        command = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self.server = [self._start("server", BIN / "prefect", *command)]
        self.worker: list[int] = []
        until(self._answers, "Prefect's server", every=0.2)
        self._http = httpx.Client(base_url=self.url, timeout=5)

    @property
    def ledger(self) -> Ledger:
        url = self.environment.get("PREFECT_DELIVERY_LEDGER_URL")
        return Ledger(url or f"sqlite:///{self.folder}/delivery/ledger.db")

    def work(self) -> None:
        """Start a worker, unless there is one, and wait until it takes runs."""
        if self.worker:
            return
        self.worker = [self._start("worker", BIN / "deliver", *WORKER)]
        until(lambda: self.serves("delivery"), "the worker", every=0.2)

    def deploy(self, *files: Path) -> None:
        self.call("deploy", *map(str, files))

    def call(self, *words: str, folder: Path | None = None) -> str:
        """Run a command of `deliver`."""
        return call(
            BIN / "deliver",
            *words,
            environment=self.environment,
            folder=folder or self.folder,
        )

    def run(self, pipeline: str, count: int = 1) -> "Burst":
        """Ask Prefect for runs of a pipeline, and wait for the end of all.

        Raises:
            RuntimeError: One did not succeed.
        """
        deployment = self._deployments.get(pipeline)
        if deployment is None:
            found = self._http.get(f"/deployments/name/pipeline/{pipeline}")
            deployment = found.raise_for_status().json()["id"]
            self._deployments[pipeline] = deployment
        runs = [self._ask_for(deployment) for _ in range(count)]
        burst = self._wait(runs)
        if burst.failed:
            raise RuntimeError(f"{burst.failed} of {count} failed")
        return burst

    def serves(self, pool: str) -> bool:
        """Whether a worker takes runs from a pool."""
        answer = self._http.post(f"/work_pools/{pool}/workers/filter", json={})
        found: list[dict[str, Any]] = answer.json() if answer.is_success else []
        return any(each["status"] == "ONLINE" for each in found)

    def _ask_for(self, deployment: str) -> str:
        # The key makes a question that is asked again the same one.
        asked = {"state": {"type": "SCHEDULED"}, "idempotency_key": uuid4().hex}
        return str(
            self._post(f"/deployments/{deployment}/create_flow_run", asked)["id"]
        )

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask until Prefect's server answers; on SQLite it is silent for a while."""
        for _ in range(TRIES):
            try:
                answer = self._http.post(path, json=body)
            except httpx.TimeoutException:
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer.raise_for_status().json()
            time.sleep(ASK)
        raise TimeoutError(f"Prefect's server does not answer {path}")

    def _wait(self, runs: list[str]) -> "Burst":
        deadline = time.monotonic() + LIMIT
        burst = Burst()
        left = list(runs)
        with self.ledger as ledger:
            while left and time.monotonic() < deadline:
                time.sleep(LOOK if len(runs) == 1 else 10 * LOOK)
                found = ledger.executions.started_with(left[0])
                if found is not None and found.status.ended:
                    left.pop(0)
                if len(runs) > 1:
                    burst.look(self.worker)
        while self._count(runs, OVER) < len(runs):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} of {len(runs)} have not ended")
            time.sleep(ASK)
        burst.failed = self._count(runs, OVER[1:])
        return burst

    def _count(self, runs: list[str], states: list[str]) -> int:
        wanted = {"id": {"any_": runs}, "state": {"type": {"any_": states}}}
        return int(self._post("/flow_runs/count", {"flow_runs": wanted}))

    def _start(self, name: str, *command: str | Path) -> int:
        folder = self.folder / name
        return self._lab.start(*command, folder=folder, environment=self.environment)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False


class Burst:
    """What was seen of runs that were asked for at once.

    Attributes:
        failed: How many did not succeed.
        memory: Megabytes that the worker and all its runs held, by run, at the most.
    """

    failed = 0
    memory = 0.0
    _looked = 0.0

    def look(self, worker: Sequence[int]) -> None:
        """Note the memory for each run, while many go on; once a second."""
        if time.monotonic() - self._looked < EVERY:
            return
        self._looked = time.monotonic()
        below = [child for pid in worker for child in Process(pid).children()]
        runs = sum(len(forker.children()) for forker in below)
        if runs >= BUSY:
            self.memory = max(self.memory, memory_of(worker) / runs)


@cache
def site(lab: Lab) -> Site:
    """The one that all share who need Prefect's server, on SQLite."""
    return Site(lab, "site", {})
