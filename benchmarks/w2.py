"""What an action costs beside its command."""

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.harness import wall
from benchmarks.peers.deliver import WORKER
from benchmarks.work import Actions

TITLE = "W2: actions that run `true`"
ABOUT = (
    "Ours has a source action besides, since a pipeline begins with one. Executions are"
    " asked for at Prefect's server, and have ended when it says so."
)
GOALS = {
    Actions(5): None,
    Actions(20): Goal("20 in sequence: wall", 10, over(WORKER, "bash", wall)),
    Actions(100): Goal("100 in sequence: wall", 3.3, over(WORKER, "bash", wall)),
    Actions(20, parallel=True): Goal(
        "20 in parallel: wall", 12, over(WORKER, "bash", wall)
    ),
}


def cases(bench: Bench) -> list[Case]:
    return [
        bench.case(
            f"{work.count} in {'parallel' if work.parallel else 'sequence'}",
            work,
            *([goal] if goal else []),
            rounds=7 if bench.full else 3,
            seconds=60 if bench.full else 20,
        )
        for work, goal in GOALS.items()
        if bench.full or work.count == 20
    ]
