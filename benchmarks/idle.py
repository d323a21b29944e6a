"""What a server and a worker use that have nothing to do."""

import time

from benchmarks.bench import Bench, Case, Goal
from benchmarks.harness import Contender, Ratio, Results, of
from benchmarks.site import site

TITLE = "Idle: nothing to do"
ABOUT = "CPU seconds in so many seconds of waiting; the ratio is not one of contenders."
WORKER, SERVER = "Prefect's server and the worker", "Prefect's server alone"


def cases(bench: Bench) -> list[Case]:
    here = site(bench.lab)
    here.work()
    seconds = 30 if bench.full else 10

    def wait() -> None:
        time.sleep(seconds)

    return [
        Case(
            f"{seconds} seconds",
            [
                Contender(WORKER, wait, lambda: [*here.server, *here.worker]),
                Contender(SERVER, wait, lambda: here.server),
            ],
            rounds=2 if bench.full else 1,
            seconds=200,
            goals=(Goal("share of a core", 0.03, _share),),
            base=SERVER,
            warm=False,
        )
    ]


def _share(results: Results) -> Ratio:
    return of([sample.cpu / sample.wall for sample in results[WORKER]])
