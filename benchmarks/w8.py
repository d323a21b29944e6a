"""How soon the commands answer that people type all day."""

import sys
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.definitions import define
from benchmarks.harness import Contender, cpu
from benchmarks.lab import Lab, call, clean
from benchmarks.site import Site, site
from benchmarks.work import Delivery

TITLE = "W8: commands"
ABOUT = "On the definition of W1, in an empty ledger with one execution."
IMPORT = "import prefect"
VALIDATE, PLAN, STATUS = "deliver validate", "deliver plan", "deliver status"


def import_prefect() -> None:
    call(sys.executable, "-c", "import prefect", environment=clean())


def cases(bench: Bench) -> list[Case]:
    file = _definition(bench.lab)
    here = site(bench.lab)
    here.call("run", str(file), "--local")
    commands = {
        VALIDATE: ["validate", str(file)],
        PLAN: ["plan", str(file)],
        STATUS: ["status"],
    }
    return [
        Case(
            "answer",
            [
                Contender(IMPORT, import_prefect),
                *(Contender(n, partial(_run, here, *w)) for n, w in commands.items()),
            ],
            rounds=15 if bench.full else 5,
            seconds=45 if bench.full else 20,
            goals=(
                Goal("`validate`: CPU", 0.25, over(VALIDATE, IMPORT, cpu)),
                Goal("`status`: CPU", 0.5, over(STATUS, IMPORT, cpu)),
            ),
            base=IMPORT,
        )
    ]


def _run(here: Site, *words: str) -> None:
    here.call(*words)


def _definition(lab: Lab) -> Path:
    return define(lab, Delivery(), "answers", lab.folder / "answers")
