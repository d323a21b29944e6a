"""A delivery of a small Python project."""

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.harness import Contender, Ratio, Results, cpu, of, wall
from benchmarks.peers.deliver import LOCAL, WORKER
from benchmarks.peers.prefect_flow import FLOW
from benchmarks.w8 import IMPORT, import_prefect
from benchmarks.work import Delivery

TITLE = "W1: a small project"
ABOUT = (
    "Source, build of a wheel, two test runs side by side with JUnit reports, deploy."
)


def cases(bench: Bench) -> list[Case]:
    case = bench.case(
        "source to deploy",
        Delivery(),
        Goal("worker: wall, to bash", 1.3, over(WORKER, "bash", wall)),
        Goal("worker: CPU, to the Prefect flow", 0.5, over(WORKER, FLOW, cpu)),
        Goal("`run --local`: wall less one `import prefect`, to bash", 1.15, _local),
        rounds=9 if bench.full else 3,
        seconds=120 if bench.full else 45,
    )
    case.contenders.append(Contender(IMPORT, import_prefect))
    return [case]


def _local(results: Results) -> Ratio | None:
    triples = zip(results[LOCAL], results[IMPORT], results["bash"], strict=False)
    found = [
        (ours.wall - base.wall) / bash.wall
        for ours, base, bash in triples
        if not (ours.failure or base.failure or bash.failure)
    ]
    return of(found) if found else None
