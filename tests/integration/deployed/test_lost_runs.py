"""Runs that lost their process before they had an execution, or after it had ended."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from deployed import Server
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import State
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import (
    Cancelled,
    Cancelling,
    Crashed,
    Pending,
    Running,
)

from prefect_delivery.changes import Change, Started
from prefect_delivery.definition import load
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows import lost_runs, watch
from prefect_delivery.flows.lost_runs import MOST_BEGINNINGS, set_lost_runs_right
from prefect_delivery.ledger import Ledger, never
from prefect_delivery.triggers import hand_over, incoming

DEFINITION = """
pipeline: shop
on: {pipeline: [base]}
stages:
  Source: {actions: {app: {uses: source/git, with: {url: .}}}}
  Gate: {actions: {sure: {uses: approval/manual}}}
"""
LOST: dict[str, Callable[[], State]] = {
    "crashed": Crashed,
    "pending": Pending,
    "running": Running,
}


class Runs:
    """A pipeline that is deployed to a pool without workers, and its runs."""

    def __init__(self, ledger: Ledger, client: SyncPrefectClient) -> None:
        self.ledger, self.client = ledger, client
        pool = uuid4().hex
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        self.deployment = client.create_deployment(
            client.create_flow_from_name("pipeline"),
            "shop",
            tags=["delivery"],
            work_pool_name=pool,
        )
        ledger.deployments.note(
            load(DEFINITION, file="delivery.yaml"),
            deployment=str(self.deployment),
            origin="there",
            file="delivery.yaml",
            settings={},
            by="ann",
        )

    def by_form(self, state: State) -> UUID:
        """A run that somebody has started in Prefect, and that stands so."""
        made = self.client.create_flow_run_from_deployment(self.deployment)
        self.let_stand(made.id, state)
        return made.id

    def triggered(self, state: State) -> tuple[Execution, UUID]:
        """An execution that a change has started, and how its run stands."""
        change = Change(kind="pipeline", repository="base", ref="success", revision="1")
        (started,) = incoming(self.ledger, change)
        assert isinstance(started, Started)
        execution = self.ledger.executions.get(started.execution_id)
        run = hand_over(self.ledger, execution)
        self.let_stand(run.id, state)
        return execution, run.id

    def let_stand(self, run: UUID, state: State) -> None:
        # Prefect itself ends a cancelled run that was never begun.
        for each in (Running(), state):
            self.client.set_flow_run_state(run, each, force=True)

    def stands(self, run: UUID) -> str | None:
        return self.client.read_flow_run(run).state_name

    def reconciled(self) -> list[str]:
        said: list[str] = []
        set_lost_runs_right(self.ledger, said.append)
        return said

    def looked(self) -> list[str]:
        """What `watch` says."""
        said: list[str] = []
        watch.look_around(self.ledger, said.append)
        return said


@pytest.fixture
def runs(server: Server, home: Path) -> Iterator[Runs]:
    with (
        temporary_settings({PREFECT_API_URL: server.url}),
        SyncPrefectClient(server.url) as client,
    ):
        made = Runs(Ledger.open(), client)
        yield made
        for run in client.read_flow_runs():
            client.delete_flow_run(run.id)
        client.delete_deployment(made.deployment)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets all times go by that a live process is given."""

    def go_by() -> None:
        for name in ("STARTING", "CANCELLING", "LEAVING"):
            monkeypatch.setattr(lost_runs, name, -1.0)
        monkeypatch.setattr(lost_runs, "settings", lambda: _Hurried)

    return go_by


class _Hurried:
    lease = -1.0


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_a_run_that_lost_its_process_before_it_began_is_begun_again(
    runs: Runs, late: Callable[[], None], lost: Callable[[], State]
) -> None:
    _, run = runs.triggered(lost())
    if not lost().is_crashed():
        assert runs.reconciled() == []
        late()

    (said,) = runs.reconciled()

    assert said.endswith("its process was lost; it is carried out again")
    assert runs.stands(run) == "AwaitingRetry"
    assert runs.reconciled() == []


@pytest.mark.parametrize("lost", [Pending, Running], ids=["pending", "running"])
def test_one_that_is_lost_again_and_again_is_given_up(
    runs: Runs, late: Callable[[], None], lost: Callable[[], State]
) -> None:
    execution, run = runs.triggered(lost())
    late()
    for _ in range(MOST_BEGINNINGS):
        runs.reconciled()
        assert runs.stands(run) == "AwaitingRetry"
        runs.let_stand(run, lost())

    (said,) = runs.reconciled()

    assert "given up" in said
    assert runs.stands(run) == "Crashed"
    assert runs.reconciled() == []
    assert runs.looked() == ["shop #1: stopped, its Prefect run is Crashed"]
    assert runs.ledger.executions.get(execution.id).status is Status.STOPPED


def test_a_run_by_form_that_crashed_long_ago_is_left_alone(
    runs: Runs, late: Callable[[], None]
) -> None:
    run = runs.by_form(Crashed())
    late()

    assert runs.reconciled() == []
    assert runs.stands(run) == "Crashed"


def test_a_run_that_is_cancelled_and_has_no_worker_any_more_is_cancelled(
    runs: Runs, late: Callable[[], None]
) -> None:
    execution, run = runs.triggered(Cancelling())
    assert runs.reconciled() == []
    late()

    (said,) = runs.reconciled()

    assert said.endswith("cancelled, nobody was left to end it")
    assert runs.stands(run) == "Cancelled"
    assert runs.looked() == ["shop #1: stopped, its Prefect run is Cancelled"]
    assert runs.ledger.executions.get(execution.id).status is Status.STOPPED


@pytest.mark.parametrize(
    ("state", "then"), [(Running, "AwaitingRetry"), (Cancelling, "Cancelled")]
)
def test_a_run_whose_process_died_before_it_could_say_how_it_ended_says_so(
    runs: Runs, late: Callable[[], None], state: Callable[[], State], then: str
) -> None:
    execution, run = runs.triggered(state())
    attempt = runs.ledger.executions.claim(
        execution.id, holder="x", ttl=60, dead=never, flow_run=str(run), deployed=True
    )
    late()
    assert runs.reconciled() == [], "its execution goes on"
    runs.ledger.executions.end(attempt, Status.SUCCEEDED)

    runs.reconciled()

    assert runs.stands(run) == then


def test_watching_leaves_to_reconciling_what_can_be_begun_again(runs: Runs) -> None:
    execution, run = runs.triggered(Crashed())

    assert runs.looked() == []
    assert runs.ledger.executions.get(execution.id).status is Status.IN_PROGRESS
    runs.let_stand(run, Cancelled())
    assert runs.looked() == ["shop #1: stopped, its Prefect run is Cancelled"]
    assert runs.looked() == []


def test_watching_stops_nothing_that_was_taken_up_meanwhile(
    runs: Runs,
) -> None:
    execution, _ = runs.triggered(Cancelled())
    executions = runs.ledger.executions

    def taken_up(ledger: Ledger, execution: Execution) -> object:
        found = hand_over(ledger, execution)
        attempt = executions.claim(execution.id, holder="x", ttl=60, dead=never)
        executions.leave(attempt)
        return found

    said: list[str] = []
    watch.look_around(runs.ledger, said.append, hand_over=taken_up)

    assert said == []
    assert executions.get(execution.id).status is Status.IN_PROGRESS


def test_what_waits_for_a_pipeline_that_is_not_deployed_any_more_is_stopped(
    runs: Runs,
) -> None:
    execution, _ = runs.triggered(Pending())
    runs.ledger.deployments.remove("shop", by="ann")

    assert runs.looked() == ["shop #1: stopped, shop is not deployed any more"]
    assert runs.ledger.executions.get(execution.id).status is Status.STOPPED
