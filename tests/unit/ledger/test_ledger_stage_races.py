"""Twenty real processes race for one stage; a file that only one can own is witness."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.ledger import Attempt, Ledger

RACER = Path(__file__).with_name("stage_racer.py")
COUNT = 20
Racers = list["subprocess.Popen[str]"]


def definition(name: str, mode: str, group: str | None = None) -> Pipeline:
    actions = {"deploy": {"uses": "deploy/environment"}}
    stage = {"actions": actions, "concurrency_group": group}
    return Pipeline.model_validate(
        {"pipeline": name, "mode": mode, "stages": {"Deploy": stage}}
    )


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    return tmp_path / "witness"


@contextmanager
def racing(command: list[str]) -> Iterator[Racers]:
    """So many processes, which are killed when the test fails."""
    racers = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(COUNT)
    ]
    try:
        assert [hear(racer) for racer in racers] == ["ready"] * COUNT
        yield racers
        for racer in racers:
            racer.communicate()
        assert [racer.returncode for racer in racers] == [0] * COUNT
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def hear(racer: "subprocess.Popen[str]") -> str:
    assert racer.stdout
    return racer.stdout.readline().strip()


def start(ledger: Ledger, made: Pipeline) -> Execution:
    return ledger.executions.start(made, variables={}, started_by="ann")


def run_race(
    ledger: Ledger, racers: Racers, gate: Execution, waiting: list[Execution]
) -> list[str]:
    """Let all arrive while `gate` is inside, then let it leave; what became of each."""
    attempt = _inside(ledger, gate)
    for racer, execution in zip(racers, waiting, strict=True):
        assert racer.stdin
        racer.stdin.write(f"{execution.id}\n")
        racer.stdin.flush()
    for racer in racers:
        assert hear(racer).startswith(("waits", "Superseded"))
    ledger.executions.end_stage(attempt, "Deploy", Status.SUCCEEDED)
    ledger.executions.end(attempt, Status.SUCCEEDED)
    return [hear(racer) for racer in racers]


def _inside(ledger: Ledger, execution: Execution) -> Attempt:
    attempt = ledger.executions.claim(execution.id, holder="gate", ttl=600)
    ledger.executions.enter_stage(attempt, "Deploy")
    return attempt


def were_inside(witness: Path) -> list[str]:
    log = witness.with_suffix(".log")
    titles = log.read_text().splitlines()
    log.unlink()
    return titles


def test_twenty_processes_race_for_a_stage(
    ledger: Ledger, ledger_url: str, python: list[str], witness: Path
) -> None:
    """In each mode, and over four pipelines of a group, by the same processes."""
    with racing([*python, str(RACER), ledger_url, str(witness)]) as racers:
        _first_in_first_out(ledger, racers, witness)
        _the_newest_wins(ledger, racers, witness)
        _pipelines_take_turns(ledger, racers, witness)
    ledger.audit.verify()


def _first_in_first_out(ledger: Ledger, racers: Racers, witness: Path) -> None:
    queued = definition("queued", "queued")
    gate, *waiting = [start(ledger, queued) for _ in range(COUNT + 1)]
    assert run_race(ledger, racers, gate, waiting) == ["Enter"] * COUNT
    assert were_inside(witness) == [f"queued #{n}" for n in range(2, COUNT + 2)]


def _the_newest_wins(ledger: Ledger, racers: Racers, witness: Path) -> None:
    newest = definition("newest", "superseded")
    gate, *waiting = [start(ledger, newest) for _ in range(COUNT + 1)]
    ended = run_race(ledger, racers, gate, waiting)
    assert ended == ["Superseded"] * (COUNT - 1) + ["Enter"]
    assert were_inside(witness) == ["newest #21"]


def _pipelines_take_turns(ledger: Ledger, racers: Racers, witness: Path) -> None:
    names = ["a", "b", "c", "d"]
    gate = start(ledger, definition("gate", "queued", "database"))
    waiting = [
        start(ledger, definition(name, "queued", "database"))
        for _ in range(COUNT // 4)
        for name in names
    ]
    assert run_race(ledger, racers, gate, waiting) == ["Enter"] * COUNT
    titles = were_inside(witness)
    for name in names:
        own = [title for title in titles if title.startswith(name)]
        assert own == [f"{name} #{n}" for n in range(1, COUNT // 4 + 1)]
    for turn in range(0, COUNT, 4):
        assert {title[0] for title in titles[turn : turn + 4]} == {*names}
