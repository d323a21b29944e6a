"""Many executions at once."""

from collections.abc import Callable

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.harness import Ratio, Results, cpu, of
from benchmarks.peers.deliver import POSTGRESQL, WORKER
from benchmarks.peers.prefect_flow import FLOW
from benchmarks.work import Burst

TITLE = "W3: executions at once"
ABOUT = (
    "Each has four actions that run `true`. The worker takes ten at a time; of the"
    " Prefect flow, four processes run at a time. One that fails, or is lost, fails the"
    " whole round. Memory is that of the worker and all its runs."
)


def cases(bench: Bench) -> list[Case]:
    few, many = (20, 100) if bench.full else (5, 20)
    return [
        bench.case(
            f"{few} at once",
            Burst(few),
            Goal("failed or lost, SQLite", 0, _failed(WORKER)),
            Goal("CPU, to the Prefect flow", 0.25, over(WORKER, FLOW, cpu)),
            rounds=3 if bench.full else 1,
            seconds=120 if bench.full else 40,
            without=(POSTGRESQL,),
        ),
        *([_many(bench, many)] if bench.full else []),
    ]


def _many(bench: Bench, count: int) -> Case:
    return bench.case(
        f"{count} at once",
        Burst(count),
        Goal("failed or lost, SQLite", 0, _failed(WORKER)),
        Goal("failed or lost, PostgreSQL", 0, _failed(POSTGRESQL)),
        Goal("megabytes for each execution that runs", 60, _memory),
        rounds=1,
        seconds=150,
        without=(FLOW,),
        warm=False,
    )


def _failed(name: str) -> Callable[[Results], Ratio | None]:
    """In how many rounds a contender failed."""

    def count(results: Results) -> Ratio | None:
        samples = results.get(name)
        return of([sum(bool(s.failure) for s in samples)]) if samples else None

    return count


def _memory(results: Results) -> Ratio | None:
    found = [s.more["each"] for s in results.get(WORKER, []) if "each" in s.more]
    return of(found) if found else None
