"""What the audit log's entries become: events by name, with ids that stay."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from prefect_delivery.definition.events import EVENTS
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ArtifactRef, Execution, Status
from prefect_delivery.events import Event
from prefect_delivery.happened import VERBS, Known, events_of
from prefect_delivery.ledger import Attempt, Entry, Ledger, Release
from prefect_delivery.outbox import _Reader

STAGES = ["Source", "Build", "Approve"]


@pytest.fixture
def shop() -> Pipeline:
    def stage(uses: str) -> dict[str, Any]:
        return {"actions": {"run": {"uses": uses}}, "supersede_approvals": True}

    kinds = ["source/git", "build/commands", "approval/manual"]
    stages = dict(zip(STAGES, map(stage, kinds), strict=True))
    return Pipeline.model_validate({"pipeline": "shop", "stages": stages})


def events(ledger: Ledger, after: int = 0) -> list[Event]:
    entries, _ = ledger.outbox.entries(after, limit=10_000, verbs=VERBS)
    return list(_events(ledger, entries))


def _events(ledger: Ledger, entries: list[Entry]) -> Iterator[Event]:
    read = _Reader(ledger)
    for entry in entries:
        known = read.known(entry)
        assert known is not None, entry
        yield from events_of(entry, known)


def names(ledger: Ledger, after: int = 0) -> list[str]:
    return [event.name for event in events(ledger, after)]


def perform(
    ledger: Ledger, attempt: Attempt, stage: str, status: Status, number: int = 1
) -> None:
    ledger.executions.enter_stage(attempt, stage)
    ledger.executions.begin_action(attempt, stage, "run", number)
    error = "exit 1" if status is Status.FAILED else None
    ledger.executions.end_action(attempt, stage, "run", number, status, error=error)


def mark(ledger: Ledger) -> int:
    return ledger.audit.entries(1)[0].seq


def test_the_life_of_an_execution(
    ledger: Ledger, execution: Execution, attempt: Attempt
) -> None:
    perform(ledger, attempt, "Source", Status.SUCCEEDED)
    ledger.executions.end_stage(attempt, "Source", Status.SUCCEEDED)
    perform(ledger, attempt, "Build", Status.FAILED)
    ledger.executions.end_stage(attempt, "Build", Status.FAILED, "Build / run: exit 1")
    ledger.executions.request_stop(execution.id, by="ann", reason="enough")
    ledger.executions.end(attempt, Status.FAILED, "Build failed")

    assert names(ledger) == [
        "pipeline.started",
        "stage.started",
        "action.started",
        "action.succeeded",
        "stage.succeeded",
        "stage.started",
        "action.started",
        "action.failed",
        "stage.failed",
        "pipeline.stopping",
        "pipeline.failed",
    ]
    last = events(ledger)[-1].payload
    assert last.text == "shop #1 failed: Build failed"
    assert last.next == ["deliver logs shop 1 --failed", "deliver retry shop 1"]
    assert last.by is None
    assert events(ledger)[7].payload.text == "shop #1 / Build / run failed: exit 1"
    assert events(ledger)[9].payload.by == "ann"

    before = mark(ledger)
    ledger.executions.reopen(execution.id, "Build", by="bob")

    [again] = events(ledger, before)
    assert (again.name, again.stage, again.payload.by) == (
        "pipeline.resumed",
        None,
        "bob",
    )


@pytest.mark.parametrize(
    ("approved", "expected"),
    [
        (True, ["approval.approved", "action.succeeded"]),
        (False, ["approval.rejected", "action.failed"]),
    ],
)
def test_an_approval(
    ledger: Ledger,
    execution: Execution,
    attempt: Attempt,
    approved: bool,
    expected: list[str],
) -> None:
    perform(ledger, attempt, "Approve", Status.WAITING)
    ledger.executions.set_status(attempt, Status.WAITING)
    ledger.executions.decide(
        execution.id, "Approve", "run", by="bob", approved=approved, comment="looked"
    )
    ledger.executions.set_status(attempt, Status.IN_PROGRESS)

    assert names(ledger)[-6:] == [
        "action.waiting",
        "approval.waiting",
        "pipeline.waiting",
        *expected,
        "pipeline.resumed",
    ]
    asked, _, decided, *_ = events(ledger)[-5:]
    assert asked.payload.next[0] == 'deliver approve shop 1 -m "..."'
    assert (decided.payload.by, decided.payload.reason) == ("bob", "looked")


def test_what_is_superseded(
    ledger: Ledger, shop: Pipeline, execution: Execution, attempt: Attempt
) -> None:
    perform(ledger, attempt, "Approve", Status.WAITING)
    ledger.executions.set_status(attempt, Status.WAITING)
    newer = ledger.executions.start(shop, variables={}, started_by="bob")
    before = mark(ledger)
    second = ledger.executions.claim(newer.id, holder="two", ttl=30)

    ledger.executions.enter_stage(second, "Approve")

    assert names(ledger, before) == [
        "action.stopped",
        "approval.stopped",
        "stage.superseded",
        "pipeline.superseded",
        "stage.started",
    ]
    said = events(ledger, before)[3].payload
    assert said.text == "shop #1 superseded: superseded by #2"


def test_rollouts(
    ledger: Ledger,
    execution: Execution,
    make_release: Callable[[str], Release],
    deploy: Callable[..., str],
) -> None:
    before = mark(ledger)
    outside = deploy(make_release("a" * 64), "rolled-back")
    release = ledger.releases.create(
        pipeline="shop",
        execution_id=execution.id,
        artifact=ArtifactRef(digest="b" * 64, size=1),
        revisions={},
        definition_digest=execution.definition.digest,
        variables={},
    )
    lease = ledger.leases.take("production", holder="worker", ttl=30)
    within = ledger.rollouts.open(
        lease,
        environment="production",
        release=release.digest,
        previous=None,
        execution_id=execution.id,
        kind="forward",
    )
    ledger.rollouts.close(lease, within.id, "held", "stopped by ann")

    first, _, started, held = events(ledger, before)

    assert names(ledger, before) == [
        "rollout.started",
        "rollout.rolled-back",
        "rollout.started",
        "rollout.held",
    ]
    assert first.payload.rollout == outside
    assert first.payload.execution is None
    assert started.payload.execution == execution.id
    assert started.related["environment"].endswith(".environment.production")
    assert held.payload.text == "rollout into production held: stopped by ann"
    assert held.payload.next == ["deliver env repair production --help"]


def test_every_event_has_an_id_that_stays_and_a_name_that_is_documented(
    ledger: Ledger, execution: Execution, attempt: Attempt
) -> None:
    for stage in STAGES:
        perform(ledger, attempt, stage, Status.WAITING)
    ledger.executions.decide(execution.id, "Approve", "run", by="bob", approved=True)

    first, again = events(ledger), events(ledger)

    assert [event.id for event in first] == [event.id for event in again]
    assert len({event.id for event in first}) == len(first) > 10
    assert {event.name for event in first} <= EVENTS.keys()


@pytest.mark.parametrize("status", [status for status in Status if status.ended])
@pytest.mark.parametrize("verb", ["end", "end stage", "end action"])
def test_whatever_ends_however_has_an_event_that_is_documented(
    ledger: Ledger, execution: Execution, verb: str, status: Status
) -> None:
    # SKIPPED and SUPERSEDED are no ends of a pipeline or action that are recorded so.
    if (verb, status) in {
        ("end", Status.SKIPPED),
        ("end action", Status.SUPERSEDED),
    }:
        pytest.skip("never recorded")
    subject = {"end": "shop #1", "end stage": "shop #1 / Build"}
    entry = ledger.audit.entries(1)[0]
    made = Entry(
        seq=1,
        at=entry.at,
        actor="worker",
        verb=verb,
        subject=subject.get(verb, "shop #1 / Build / run"),
        detail={"status": str(status)},
        hash=uuid4().hex,
    )

    [event] = events_of(made, Known(execution=execution))

    assert event.name in EVENTS
