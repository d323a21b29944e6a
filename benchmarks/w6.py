"""The same commit again: what has not changed is not run again."""

from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.definitions import define
from benchmarks.harness import Contender, cpu, wall
from benchmarks.site import Site, site
from benchmarks.w8 import IMPORT, import_prefect
from benchmarks.work import Delivery

TITLE = "W6: nothing changed"
ABOUT = "The delivery of W1 by `deliver run --local`, with `cache: true` of build and tests."
ALL, AGAIN = "`run --no-cache`", "`run`"


def cases(bench: Bench) -> list[Case]:
    file = define(
        bench.lab, Delivery(cached=True), "unchanged", bench.lab.folder / "unchanged"
    )
    here = site(bench.lab)
    # The first run makes what the others find.
    _run(here, file)
    return [
        Case(
            "the same commit",
            [
                Contender(ALL, partial(_run, here, file, "--no-cache")),
                Contender(AGAIN, partial(_run, here, file)),
                Contender(IMPORT, import_prefect),
            ],
            rounds=9 if bench.full else 3,
            seconds=60 if bench.full else 30,
            goals=(
                Goal("again: wall, to all", 0.1, over(AGAIN, ALL, wall)),
                Goal("again: CPU, to all", 0.1, over(AGAIN, ALL, cpu)),
            ),
            base=ALL,
        )
    ]


def _run(here: Site, file: Path, *words: str) -> None:
    here.call("run", str(file), "--local", *words)
