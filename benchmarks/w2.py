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
WHY = (
    "bash spends 1.2 ms of CPU on a `true`. By estimate from single measurements, an"
    " action of ours is a run of a Prefect task (5 ms here, 30 ms in Prefect's server),"
    " two writes and two reads of the ledger (15 ms), and a command between two"
    " processes that end whatever it leaves behind (16 ms)."
)
GOALS = {
    Actions(5): None,
    Actions(20): Goal("wall, to bash", 10, over(WORKER, "bash", wall), WHY),
    Actions(100): Goal("wall, to bash", 3.3, over(WORKER, "bash", wall), WHY),
    Actions(20, parallel=True): Goal(
        "wall, to bash", 12, over(WORKER, "bash", wall), WHY
    ),
}


def cases(bench: Bench) -> list[Case]:
    return [
        bench.case(
            f"{work.count} in {'parallel' if work.parallel else 'sequence'}",
            work,
            *([goal] if goal else []),
            rounds=7 if bench.full else 3,
            seconds=45 if bench.full else 20,
        )
        for work, goal in GOALS.items()
        if bench.full or work.count == 20
    ]
