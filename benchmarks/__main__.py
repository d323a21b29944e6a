"""`python -m benchmarks`: measure, and show one table.

`--full` takes the time for figures that are published, `--page` writes them to
docs/performance.md, and names such as `w2 idle` measure only those.
"""

import argparse
import importlib
import signal
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench, Measured, Workload, measure
from benchmarks.harness import load
from benchmarks.lab import Lab
from benchmarks.page import PAGE, write
from benchmarks.table import CASE, GOALS, goal_rows, rows, text


def workloads() -> dict[str, Workload]:
    """The modules that measure something, by name."""
    here = Path(__file__).parent
    names = [*sorted(path.stem for path in here.glob("w[0-9].py")), "idle"]
    return {name: importlib.import_module(f"benchmarks.{name}") for name in names}


def main() -> int:
    found = workloads()
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("workloads", nargs="*", metavar="NAME", help=", ".join(found))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    wanted = asked.workloads or list(found)
    if unknown := sorted(set(wanted) - set(found)):
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(found)}")
    # What was started is ended, too, when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    with Lab() as lab:
        bench = Bench(lab, asked.full, _say)
        bench.start()
        measured: list[Measured] = []
        for name in wanted:
            measured += measure(found[name], bench)
            if asked.page:  # also when it is ended before its time
                write(PAGE, measured, bench)
    for each in measured:
        print(f"\n{each.title}, {each.case.name} (ratios to {each.case.base})")
        print(text(CASE, list(rows(each))))
    print(f"\nGoals (load {load():.1f}; {time.monotonic() - began:.0f} s)")
    print(text(GOALS, list(goal_rows(measured))))
    for peer, reason in bench.missing.items():
        print(f"not measured: {peer}: {reason}")
    return 0


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
