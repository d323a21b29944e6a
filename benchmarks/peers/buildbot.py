"""Buildbot: a master and two workers, asked as its own page asks."""

import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks.harness import Outcome
from benchmarks.lab import LIMIT, START, call, free_port, until
from benchmarks.peers import Peer
from benchmarks.pushing import Pushing
from benchmarks.work import Actions, Burst, Delivery, Push, Work

CONFIGURATION = Path(__file__).with_name("_buildbot_master.py")
PACKAGES = (
    *("buildbot>=4,<5", "buildbot-www>=4,<5", "buildbot-worker>=4,<5"),
    # What Python has left out since.
    *("setuptools<81", "legacy-cgi; python_version>='3.13'"),
)
WORKERS = ("one", "two")
LOOK = 0.05


class Buildbot(Peer):
    name = "Buildbot"
    slow = True

    def start(self) -> None:
        bin_ = self.lab.venv("buildbot", *PACKAGES)
        folder = self.lab.folder / "buildbot"
        folder.mkdir()
        web, workers = free_port(), free_port()
        environment = self.lab.environment("buildbot") | {
            "BENCH_WEB": str(web),
            "BENCH_WORKERS": str(workers),
            "MARKER": str(folder / "marker"),
        }
        master = folder / "master"
        call(bin_ / "buildbot", "create-master", "-r", master, environment=environment)
        (master / "master.cfg").write_text(CONFIGURATION.read_text())
        places = [master]
        for name in WORKERS:
            place = folder / name
            address = f"127.0.0.1:{workers}"
            create = (bin_ / "buildbot-worker", "create-worker", place, address, name)
            call(*create, "secret", environment=environment)
            places.append(place)
        twistd = (bin_ / "twistd", "--no_save", "-n", "-y", "buildbot.tac")
        self._daemons = [
            self.lab.start(*twistd, folder=place, environment=environment)
            for place in places
        ]
        self._url = f"http://127.0.0.1:{web}"
        self._http = httpx.Client(base_url=f"{self._url}/api/v2", timeout=60)
        until(self._ready, "Buildbot", every=0.2, patience=START)
        self._pushing = Pushing(self.lab.folder / "buildbot-push", folder / "marker")
        self._pushing.hook(HOOK.format(url=self._url))

    def can(self, work: Work) -> bool:
        return not (isinstance(work, Burst) and work.count > 20)

    def daemons(self) -> Sequence[int]:
        return self._daemons

    def run(self, work: Work) -> Outcome | None:
        match work:
            case Delivery():
                self._build("delivery")
            case Actions(count, parallel):
                self._build(f"{'parallel' if parallel else 'sequence'}{count}")
            case Burst(count):
                self._build(*(f"four{n % 10}" for n in range(count)))
            case Push():
                return Outcome(self._pushing.push())
        return None

    def _build(self, *builders: str) -> None:
        left = {self._ask_for(builder) for builder in builders}
        deadline = time.monotonic() + LIMIT
        while left:
            time.sleep(LOOK)
            for number in list(left):
                (found,) = self._http.get(f"/buildsets/{number}").json()["buildsets"]
                if not found["complete"]:
                    break
                if found["results"]:
                    raise RuntimeError(f"buildset {number}: result {found['results']}")
                left.discard(number)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} of {len(builders)} have not ended")

    def _ask_for(self, builder: str) -> int:
        order = {"id": 1, "jsonrpc": "2.0", "method": "force"}
        order |= {"params": {"owner": "bench <bench@localhost>"}}
        answer = self._http.post(f"/forceschedulers/force-{builder}", json=order)
        return int(answer.raise_for_status().json()["result"][0])

    def _ready(self) -> bool:
        try:
            workers = self._http.get("/workers").json()["workers"]
        except (httpx.HTTPError, ValueError):
            return False
        return sum(bool(each["connected_to"]) for each in workers) == len(WORKERS)


HOOK = (
    "curl -fsS {url}/change_hook/base -d author=bench -d comments=c -d project=push"
    " -d revision=$new -d branch=main -d repository=$PWD"
)
