"""Prefect's own process worker with a hand-written flow, for pushes."""

from collections.abc import Sequence

import httpx

from benchmarks.harness import Outcome
from benchmarks.lab import BIN, call, until
from benchmarks.peers import Peer
from benchmarks.pushing import Pushing
from benchmarks.site import site
from benchmarks.work import Push, Work

STOCK = "Prefect's process worker"
POOL = "stock"
FLOW = """
import subprocess
from prefect import flow, task

@task
def mark(marker: str) -> None:
    command = 'date +%s.%N >"$1.new" && mv "$1.new" "$1"'
    subprocess.run(["sh", "-c", command, "sh", marker], check=True)

@flow
def push(marker: str) -> None:
    mark(marker)
"""
DEPLOYMENT = """
name: stock
deployments:
- name: stock
  entrypoint: push.py:push
  work_pool: {name: stock}
"""
HOOK = """curl -fsS '{url}/deployments/{id}/create_flow_run' \
-H 'Content-Type: application/json' -d '{{"parameters": {{"marker": "{marker}"}}}}'"""


class StockWorker(Peer):
    name = STOCK

    def start(self) -> None:
        here = site(self.lab)
        folder = self.lab.folder / "stock"
        project, marker = folder / "project", folder / "marker"
        project.mkdir(parents=True)
        (project / "push.py").write_text(FLOW)
        (project / "prefect.yaml").write_text(DEPLOYMENT)
        for words in (
            ("work-pool", "create", POOL, "--type", "process"),
            ("--no-prompt", "deploy", "--all"),
        ):
            environment = here.environment
            call(BIN / "prefect", *words, environment=environment, folder=project)
        command = ("worker", "start", "--pool", POOL, "--type", "process")
        started = self.lab.start(
            BIN / "prefect", *command, folder=folder, environment=here.environment
        )
        self._daemons = [*here.server, started]
        until(lambda: here.serves(POOL), "Prefect's worker", every=0.2)
        found = httpx.get(f"{here.url}/deployments/name/push/stock", timeout=60)
        identity = found.raise_for_status().json()["id"]
        self._pushing = Pushing(folder / "repository", marker)
        self._pushing.hook(HOOK.format(url=here.url, id=identity, marker=marker))

    def can(self, work: Work) -> bool:
        return isinstance(work, Push)

    def daemons(self) -> Sequence[int]:
        return self._daemons

    def run(self, work: Work) -> Outcome:
        return Outcome(self._pushing.push())
