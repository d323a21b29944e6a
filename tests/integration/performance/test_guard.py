"""Nothing has become twice as slow as it shall be, beside Prefect on the same machine.

`make bench` measures; this only notices what was lost since. The figures are ratios of
runs that alternate, and the best pair counts: a machine that is busy does not fail it.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from benchmarks.harness import Contender, Outcome, Results, Sample, cpu, play, ratio
from benchmarks.lab import BIN, STEPS, call, clean
from benchmarks.peers.prefect_flow import FLOWS
from prefect_delivery import control, launcher
from prefect_delivery.definition import load
from prefect_delivery.flows.run import Watch, run_execution
from prefect_delivery.ledger import Ledger

# Measuring coverage costs our side as much again, and the other one nothing.
pytestmark = pytest.mark.no_cover
ROUNDS = 2
ACTIONS = 20
GOALS = {"actions": 0.5, "validate": 0.25, "status": 0.5}
"""Processor time, to that of a hand-written flow and to that of `import prefect`."""
SMALL = """
pipeline: small
stages:
  Source: {actions: {app: {uses: source/git, with: {url: "%(url)s"}}}}
  Build:
    actions:
"""
ACTION = """
      a%(number)d:
        uses: build/commands
        run_order: %(number)d
        with: {commands: ["true"]}
"""


@pytest.fixture
def definition(tmp_path: Path) -> str:
    """Twenty actions, one after the other, on a repository with one file."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "file").write_text("text")
    author = ["-c", "user.name=Ann", "-c", "user.email=ann@shop.example"]
    for words in (["init", "-q", "-b", "main"], ["add", "."]):
        call("git", *words, environment=clean(), folder=folder)
    call("git", *author, "commit", "-qm", "1", environment=clean(), folder=folder)
    actions = (ACTION % {"number": number} for number in range(1, ACTIONS + 1))
    return SMALL % {"url": folder} + "".join(actions)


def test_actions_cost_less_than_tasks_of_a_hand_written_flow(
    prefect_server: None, home: Path, definition: str
) -> None:
    url = PREFECT_API_URL.value()
    environment = {**clean(), "PREFECT_API_URL": str(url), "STEPS": str(STEPS)}
    pipeline = load(definition, file="delivery.yaml")
    ledger = Ledger.open()

    def ours() -> Outcome:
        before = sum(os.times()[:4])
        execution = control.start(ledger, pipeline)
        ended = run_execution(
            execution.id, Watch(lambda _: None, lambda *_: None), local=False
        )
        assert ended.status == "succeeded", ended.reason
        # What forks for the commands has used something too, known once it has ended.
        launcher.end()
        # We are what a warm worker is: everything is imported.
        return Outcome(cpu=sum(os.times()[:4]) - before)

    def theirs() -> None:
        words = (str(FLOWS), "sequence", str(ACTIONS))
        call(sys.executable, *words, environment=environment)

    results = _play({"ours": ours, "theirs": theirs})

    print(results)
    assert _best(results, "ours", "theirs", cpu) <= 2 * GOALS["actions"]


def test_commands_answer_sooner_than_prefect_is_imported(
    home: Path, tmp_path: Path, definition: str
) -> None:
    file = tmp_path / "delivery.yaml"
    file.write_text(definition)
    environment = {**clean(), "PREFECT_DELIVERY_HOME": str(home)}

    def command(*words: str) -> Callable[[], Outcome | None]:
        def run() -> None:
            call(*words, environment=environment)

        return run

    results = _play(
        {
            "import": command(sys.executable, "-c", "import prefect"),
            "validate": command(str(BIN / "deliver"), "validate", str(file)),
            "status": command(str(BIN / "deliver"), "status"),
        }
    )

    assert _best(results, "validate", "import", cpu) <= 2 * GOALS["validate"]
    assert _best(results, "status", "import", cpu) <= 2 * GOALS["status"]


def _play(contenders: dict[str, Callable[[], Outcome | None]]) -> Results:
    made = [Contender(name, run) for name, run in contenders.items()]
    results = play(made, rounds=ROUNDS, seconds=240)
    failed = [s.failure for samples in results.values() for s in samples if s.failure]
    assert not failed
    return results


def _best(
    results: Results, one: str, other: str, figure: Callable[[Sample], float]
) -> float:
    found = ratio(results, one, other, figure)
    assert found is not None
    return found.low
