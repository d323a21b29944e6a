"""Many executions at once on an installation, and what they cost."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import psutil
from installation import Installation
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_CLIENT_RETRY_EXTRA_CODES, temporary_settings

EVERY = 2.0
"""Seconds between two samples."""
DEFINITION = """
pipeline: {name}
mode: parallel
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: "{url}", branch: main}}}}
  Build:
    actions:
      package:
        uses: build/commands
        with: {{commands: [{first}, mkdir dist, cp app.txt dist/app.txt]}}
        outputs: {{site: ["dist/**"]}}
  Check:
    actions:
      look:
        uses: test/commands
        inputs: site
        with: {{commands: ['test "$(cat dist/app.txt)" = hello']}}
"""


@dataclass
class Sample:
    """One moment: MiB of PSS by process, connections by database, runs that go on."""

    memory: dict[str, float]
    connections: dict[str, int]
    runs: int


@dataclass
class Samples:
    """What was seen while something went on."""

    seen: list[Sample] = field(default_factory=list[Sample])

    def memory(self, name: str) -> float:
        """The most MiB that one process and what came of it had."""
        return max(sample.memory.get(name, 0) for sample in self.seen)

    def workers(self) -> float:
        """The most MiB that all workers, with their runs, had together."""
        return max(
            sum(mib for name, mib in sample.memory.items() if name.startswith("worker"))
            for sample in self.seen
        )

    def connections(self, database: str) -> int:
        return max(sample.connections.get(database, 0) for sample in self.seen)

    def runs(self) -> int:
        """The most runs at once: processes of workers beside what they always have."""
        return max(sample.runs for sample in self.seen)


def deploy(
    team: Installation, folder: Path, name: str = "load", first: str = "true"
) -> UUID:
    """Deploy a pipeline of three stages; return its deployment's id.

    Args:
        first: Command that its build begins with.
    """
    folder.mkdir()
    (folder / "app.txt").write_text("hello\n")
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "app.txt"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "app"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)
    file = folder / "delivery.yaml"
    file.write_text(DEFINITION.format(name=name, url=folder, first=json.dumps(first)))
    done = team.call("deliver", "deploy", str(file), folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with team.client as client:
        return client.read_deployment_by_name(f"pipeline/{name}").id


def ask(team: Installation, deployment: UUID, count: int) -> list[UUID]:
    """Ask for so many runs at once, as hosts that try again do; their ids."""
    with (
        temporary_settings({PREFECT_CLIENT_RETRY_EXTRA_CODES: "500"}),
        team.client as client,
        ThreadPoolExecutor(16) as pool,
    ):

        def one() -> UUID:
            return client.create_flow_run_from_deployment(
                deployment, idempotency_key=str(uuid4())
            ).id

        # A thread has the settings of the context that it is given.
        asked = [pool.submit(copy_context().run, one) for _ in range(count)]
        return [each.result() for each in asked]


@contextmanager
def sampled(team: Installation) -> Iterator[Samples]:
    """Sample the installation while something goes on."""
    samples, over = Samples(), threading.Event()

    def look() -> None:
        while not over.wait(EVERY):
            samples.seen.append(sample(team))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def sample(team: Installation) -> Sample:
    processes = team.processes()
    workers = [some for name, some in processes.items() if name.startswith("worker")]
    return Sample(
        {name: sum(map(pss, some)) for name, some in processes.items()},
        team.connections(),
        # The forker, and the process that waits for the next run, are no runs.
        sum(max(0, sum(map(_was_forked, some)) - 2) for some in workers),
    )


def pss(process: psutil.Process) -> float:
    """MiB, where what several processes share is divided among them."""
    with suppress(psutil.Error):
        return float(process.memory_full_info().pss) / 2**20
    return 0


def _was_forked(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "prefect_delivery.deployments.forker" in process.cmdline()
    return False


def states(team: Installation, runs: list[UUID]) -> dict[str, int]:
    """How many of the runs Prefect has in which state."""
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=runs))
    with team.client as client:
        found = client.read_flow_runs(flow_run_filter=wanted, limit=200)
    return dict(Counter(str(each.state_name) for each in found))


def figures(samples: Samples, started: float, more: dict[str, object]) -> str:
    """What was seen, as JSON."""
    return json.dumps(
        {
            **more,
            "seconds": round(time.monotonic() - started, 1),
            "runs_at_once": samples.runs(),
            "mib": {
                name: round(samples.memory(name)) for name in samples.seen[-1].memory
            },
            "mib_of_workers": round(samples.workers()),
            "connections": {
                name: samples.connections(name) for name in ("prefect", "delivery")
            },
        },
        indent=2,
    )
