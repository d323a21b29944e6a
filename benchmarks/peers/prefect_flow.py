"""A hand-written Prefect flow: a process a run, on the server that our worker uses."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.lab import call
from benchmarks.peers import Peer
from benchmarks.site import site
from benchmarks.work import Actions, Burst, Delivery, Push, Work

FLOW = "hand-written Prefect flow"
FLOWS = Path(__file__).with_name("_flows.py")
AT_ONCE = 4
"""Processes at once in a burst, as a runner with that limit would have it."""


class PrefectFlow(Peer):
    name = FLOW

    def start(self) -> None:
        self._site = site(self.lab)

    def can(self, work: Work) -> bool:
        return not isinstance(work, Push)

    def daemons(self) -> Sequence[int]:
        return self._site.server

    def rounds(self, work: Work, full: int) -> int:
        # A round of a burst takes it a minute, and Prefect on SQLite fails in some.
        return min(full, 1 if isinstance(work, Burst) else full)

    def run(self, work: Work) -> None:
        match work:
            case Delivery():
                self._call("delivery")
            case Actions(count, parallel):
                self._call("parallel" if parallel else "sequence", str(count))
            case Burst(count):
                with ThreadPoolExecutor(AT_ONCE) as threads:
                    list(
                        threads.map(lambda _: self._call("sequence", "4"), range(count))
                    )
            case Push():
                raise NotImplementedError

    def _call(self, *words: str) -> None:
        environment = self.lab.environment("prefect") | self._site.environment
        call(sys.executable, FLOWS, *words, environment=environment)
