"""How soon a push starts something."""

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.harness import Ratio, Results, of, wall
from benchmarks.peers.buildbot import Buildbot
from benchmarks.peers.deliver import WORKER
from benchmarks.peers.stock_worker import STOCK
from benchmarks.work import Push

TITLE = "W4: from a push to the first command"
ABOUT = (
    "Seconds from the repository's post-receive hook to the first command of the"
    " pipeline; ours checks the signature, asks the repository and fetches the source"
    " first."
)


def cases(bench: Bench) -> list[Case]:
    return [
        bench.case(
            "hook to command",
            Push(),
            Goal("seconds", 0.4, _seconds),
            Goal("to Buildbot", 1, over(WORKER, Buildbot.name, wall)),
            Goal("to Prefect's process worker", 0.1, over(WORKER, STOCK, wall)),
            rounds=9 if bench.full else 3,
            seconds=60 if bench.full else 25,
            base=WORKER,
        )
    ]


def _seconds(results: Results) -> Ratio | None:
    found = [s.wall for s in results.get(WORKER, []) if not s.failure]
    return of(found) if found else None
