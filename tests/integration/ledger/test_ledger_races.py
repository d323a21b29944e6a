"""Several real processes at one ledger, over either database."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Status
from prefect_delivery.holder import is_dead, this_holder
from prefect_delivery.ledger import Ledger

RACER = Path(__file__).with_name("racer.py")
Race = Callable[[str, str, int], list[list[str]]]


@pytest.fixture
def race() -> Race:
    """Let so many processes do one thing at the same time; gives what each printed."""

    def run(url: str, act: str, count: int) -> list[list[str]]:
        racers = [
            subprocess.Popen(
                [sys.executable, str(RACER), url, act],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        for racer in racers:
            assert racer.stdout and racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin
            racer.stdin.write("go\n")
            racer.stdin.flush()
        printed = [racer.communicate()[0].split() for racer in racers]
        expected = -signal.SIGKILL if act in {"kill", "die-creating"} else 0
        assert [racer.returncode for racer in racers] == [expected] * count
        return printed

    return run


def test_a_ledger_is_made_once(race: Race, bare_url: str) -> None:
    assert race(bare_url, "create", 4) == [["0"]] * 4

    with Ledger(bare_url) as ledger:
        assert ledger.executions.list() == []


def test_a_ledger_whose_making_was_killed_half_way_is_made_by_the_next(
    race: Race, bare_url: str
) -> None:
    race(bare_url, "die-creating", 1)

    with Ledger(bare_url) as ledger:
        assert ledger.executions.list() == []


def test_executions_started_at_once_are_numbered_without_gap_or_double(
    ledger: Ledger, race: Race, ledger_url: str
) -> None:
    printed = race(ledger_url, "start", 4)

    numbers = sorted(int(number) for racer in printed for number in racer)
    assert numbers == list(range(1, 21))
    ledger.audit.verify()


def test_threads_share_a_ledger(ledger: Ledger, shop: Pipeline) -> None:
    def start(name: str) -> int:
        return ledger.executions.start(shop, variables={}, started_by=name).number

    with ThreadPoolExecutor(20) as threads:
        numbers = list(threads.map(start, map(str, range(40))))

    assert sorted(numbers) == list(range(1, 41))
    ledger.audit.verify()


def test_one_of_many_takes_a_lease(ledger: Ledger, race: Race, ledger_url: str) -> None:
    printed = race(ledger_url, "take", 4)

    assert sorted(printed) == [["1"], ["refused"], ["refused"], ["refused"]]
    ledger.audit.verify()


def test_a_process_killed_while_it_writes_leaves_nothing_behind(
    ledger: Ledger, shop: Pipeline, race: Race, ledger_url: str
) -> None:
    race(ledger_url, "kill", 2)

    assert ledger.leases.held() == []
    assert ledger.audit.entries() == []
    lease = ledger.leases.take("production", holder="next", ttl=30)
    assert lease.token == 1
    ledger.audit.verify()


def test_the_lease_of_a_killed_process_is_taken_over_at_once(
    ledger: Ledger, race: Race, ledger_url: str
) -> None:
    race(ledger_url, "take", 1)
    [left] = ledger.leases.held()

    lease = ledger.leases.take("production", holder=this_holder(), ttl=30, dead=is_dead)

    assert (left.token, lease.token) == (1, 2)


@pytest.fixture
def approval(ledger: Ledger) -> str:
    """Id of an execution that waits for three people, whoever they are."""
    action = {"uses": "approval/manual", "with": {"count": 3}}
    definition = Pipeline.model_validate(
        {"pipeline": "shop", "stages": {"Approve": {"actions": {"run": action}}}}
    )
    execution = ledger.executions.start(definition, variables={}, started_by="ann")
    attempt = ledger.executions.claim(execution.id, holder="worker", ttl=30)
    ledger.executions.enter_stage(attempt, "Approve")
    ledger.executions.begin_action(attempt, "Approve", "run", 1)
    ledger.executions.end_action(attempt, "Approve", "run", 1, Status.WAITING)
    return execution.id


def test_of_approvers_at_once_exactly_as_many_count_as_are_needed(
    ledger: Ledger, approval: str, race: Race, ledger_url: str
) -> None:
    printed = race(ledger_url, "vote", 5)

    assert sorted(printed) == [["0"], ["1"], ["2"], ["late"], ["late"]]
    [run] = ledger.executions.get(approval).stages["Approve"].actions["run"]
    assert run.status is Status.SUCCEEDED
    assert len(ledger.votes.list(approval)["Approve", "run", 1]) == 3
    ledger.audit.verify()


def test_of_rejections_at_once_the_first_ends_it(
    ledger: Ledger, approval: str, race: Race, ledger_url: str
) -> None:
    printed = race(ledger_url, "reject", 3)

    assert sorted(printed) == [["0"], ["late"], ["late"]]
    [run] = ledger.executions.get(approval).stages["Approve"].actions["run"]
    assert run.status is Status.FAILED
    ledger.audit.verify()
