"""What a long history and many pipelines cost."""

import sqlite3
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, Case, Goal, over
from benchmarks.definitions import define
from benchmarks.harness import Contender, cpu
from benchmarks.lab import BIN, call
from benchmarks.site import site
from benchmarks.work import Actions

TITLE = "W7: growth"
ABOUT = (
    "An execution of two actions is copied in the ledger. `run --local` is the command"
    " from its start to the end of a new execution of the same pipeline."
)
TABLES = ("pipelines", "executions", "stage_runs", "action_runs")


def cases(bench: Bench) -> list[Case]:
    rounds, seconds = (7, 25) if bench.full else (2, 10)
    history = {
        100: _ledger(bench, "young", 100, 1),
        10_000: _ledger(bench, "old", 10_000, 1),
    }
    pipelines = {
        10: _ledger(bench, "few", 10, 10),
        1000: _ledger(bench, "many", 1000, 1000),
    }
    made = []
    for what, homes, words in (
        ("`status` of the pipeline by executions", history, ["status", "work"]),
        ("`run --local` by executions", history, ["run", "--local", "FILE"]),
        ("`status` of the pipeline by pipelines", pipelines, ["status", "work"]),
        ("`run --local` by pipelines", pipelines, ["run", "--local", "FILE"]),
    ):
        few, many = homes
        names = {size: f"{size:,}" for size in homes}
        made.append(
            Case(
                what,
                [
                    Contender(names[size], partial(_deliver, bench, home, words))
                    for size, home in homes.items()
                ],
                rounds,
                seconds,
                (Goal("CPU", 1.5, over(names[many], names[few], cpu)),),
                base=names[few],
            )
        )
    return made


def _deliver(bench: Bench, home: Path, words: list[str]) -> None:
    file = str(home / "work.delivery.yaml")
    call(
        BIN / "deliver",
        *(file if word == "FILE" else word for word in words),
        environment=_environment(bench, home),
        folder=home,
    )


def _environment(bench: Bench, home: Path) -> dict[str, str]:
    return {**site(bench.lab).environment, "PREFECT_DELIVERY_HOME": str(home)}


def _ledger(bench: Bench, name: str, executions: int, pipelines: int) -> Path:
    """A home with so many executions, of so many pipelines."""
    home = bench.lab.folder / name
    define(bench.lab, Actions(1), "work", home)
    _deliver(bench, home, ["run", "--local", "FILE"])
    with sqlite3.connect(home / "ledger.db") as database:
        rows = {table: _rows(database, table) for table in TABLES}
        for number in range(1, executions):
            pipeline = f"work{number}" if pipelines > 1 else "work"
            for table in TABLES if pipelines > 1 else TABLES[1:]:
                for row in rows[table]:
                    _copy(database, table, row, number, pipeline)
    return home


def _rows(database: sqlite3.Connection, table: str) -> list[dict[str, object]]:
    found = database.execute(f"SELECT * FROM {table}")  # noqa: S608 - a constant
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _copy(
    database: sqlite3.Connection,
    table: str,
    row: dict[str, object],
    number: int,
    pipeline: str,
) -> None:
    new = dict(row)
    match table:
        case "pipelines":
            new["name"] = pipeline
        case "executions":
            own = {"id": f"{row['id']}-{number}", "pipeline": pipeline}
            new |= {**own, "number": number + 1, "start_key": None}
        case _:
            new["execution_id"] = f"{row['execution_id']}-{number}"
    marks = ", ".join("?" * len(new))
    insert = f"INSERT INTO {table} ({', '.join(new)}) VALUES ({marks})"  # noqa: S608
    database.execute(insert, list(new.values()))
