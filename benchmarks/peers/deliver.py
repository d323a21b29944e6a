"""This project: on the warm worker, and without any server."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.definitions import define
from benchmarks.harness import Outcome
from benchmarks.peers import Peer
from benchmarks.postgresql import Postgresql
from benchmarks.site import Site, site
from benchmarks.webhook import Webhook
from benchmarks.work import Actions, Burst, Delivery, Push, Work

WORKER = "deliver, warm worker"
POSTGRESQL = "deliver, warm worker, PostgreSQL"
LOCAL = "deliver run --local"


class Worker(Peer):
    """Runs are asked for at Prefect's server, as its page does, and end there."""

    name = WORKER

    def start(self) -> None:
        self._site = self._place()
        self._site.work()
        self._deployed: dict[Work, str] = {}
        self._webhook: Webhook | None = None

    def _place(self) -> Site:
        return site(self.lab)

    def can(self, work: Work) -> bool:
        return True

    def daemons(self) -> Sequence[int]:
        webhook = self._webhook.daemons if self._webhook else []
        return [*self._site.server, *self._site.worker, *webhook]

    def run(self, work: Work) -> Outcome:
        if isinstance(work, Push):
            self._webhook = self._webhook or Webhook(self.lab, self._site)
            return Outcome(self._webhook.push())
        if work not in self._deployed:
            name = f"work{len(self._deployed)}"
            self._site.deploy(define(self.lab, work, name, self.lab.folder / name))
            self._deployed[work] = name
        count = work.count if isinstance(work, Burst) else 1
        seen = self._site.run(self._deployed[work], count)
        return Outcome(more={"each": seen.memory} if seen.memory else {})


class WorkerOnPostgresql(Worker):
    """Prefect's server and the ledger on PostgreSQL, for bursts."""

    name = POSTGRESQL
    slow = True

    def _place(self) -> Site:
        return Site(self.lab, "postgresql", Postgresql(self.lab).settings)

    def can(self, work: Work) -> bool:
        return isinstance(work, Burst)


class Local(Peer):
    """The command, from its start to its end; a ledger of its own."""

    name = LOCAL

    def start(self) -> None:
        self._site = site(self.lab)
        self._files: dict[Work, Path] = {}

    def can(self, work: Work) -> bool:
        return isinstance(work, Delivery | Actions)

    def run(self, work: Work) -> None:
        if work not in self._files:
            name = f"local{len(self._files)}"
            self._files[work] = define(self.lab, work, name, self.lab.folder / name)
        self._site.call("run", str(self._files[work]), "--local")
