"""Where an execution's time went."""

from datetime import UTC, datetime, timedelta

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status
from prefect_delivery.ledger import Waited
from prefect_delivery.ledger.records import WaitKind
from prefect_delivery.timing import timing_of

START = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
DEFINITION = Pipeline.model_validate(
    {
        "pipeline": "shop",
        "stages": {
            "Source": {"needs": [], "actions": {"app": {"uses": "source/git"}}},
            "Lint": {
                "needs": ["Source"],
                "actions": {"lint": {"uses": "build/commands"}},
            },
            "Build": {
                "needs": ["Source"],
                "actions": {
                    "unit": {"uses": "test/commands"},
                    "package": {"uses": "build/commands"},
                },
            },
            "Production": {
                "needs": ["Lint", "Build"],
                "before_entry": {"rules": {"hours": {"uses": "rule/http"}}},
                "actions": {
                    "ok": {"uses": "approval/manual"},
                    "deploy": {"uses": "deploy/environment", "run_order": 2},
                },
            },
        },
    }
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def runs(*spans: tuple[float, float | None]) -> tuple[ActionRun, ...]:
    return tuple(
        ActionRun(
            attempt=number,
            status=Status.SUCCEEDED,
            started=at(start),
            ended=None if end is None else at(end),
        )
        for number, (start, end) in enumerate(spans, 1)
    )


def execution(
    ended: float | None, **stages: dict[str, tuple[ActionRun, ...]]
) -> Execution:
    return Execution(
        id="0" * 32,
        pipeline="shop",
        number=42,
        definition=DEFINITION,
        status=Status.SUCCEEDED if ended else Status.WAITING,
        started=START,
        ended=None if ended is None else at(ended),
        stages={
            name: StageRun(status=Status.SUCCEEDED, actions=actions)
            for name, actions in stages.items()
        },
    )


def wait(stage: str, kind: WaitKind, since: float, until: float | None) -> Waited:
    return Waited(
        stage=stage,
        kind=kind,
        reason="so",
        since=at(since),
        until=None if until is None else at(until),
    )


def test_time_of_parallel_actions_counts_once_and_the_longest_is_critical() -> None:
    of = execution(
        20,
        Source={"app": runs((0, 2))},
        Build={"unit": runs((2, 12)), "package": runs((2, 5))},
        Lint={"lint": runs((2, 3))},
    )

    found = timing_of(of, [], at(99))

    assert found.whole.total == 20
    assert found.whole.running == 12
    assert found.stages["Build"].by_kind == {"running": 10}
    assert [leg.title for leg in found.critical] == ["Source / app", "Build / unit"]


def test_each_wait_has_its_own_sum() -> None:
    of = execution(
        100,
        Source={"app": runs((0, 2))},
        Production={
            "before_entry:hours": runs((30, 40)),
            "ok": runs((40, 60)),
            "deploy": runs((60, 65), (75, 80)),
        },
    )
    waits = [
        wait("Production", "lock", 2, 10),
        wait("Production", "transition", 10, 30),
    ]

    found = timing_of(of, waits, at(999))

    production = found.stages["Production"]
    assert production.total == 78
    assert production.running == 10
    assert production.waiting == {
        "approval": 20,
        "rule": 10,
        "transition": 20,
        "lock": 8,
        "retry delay": 10,
    }
    assert sum(leg.seconds for leg in found.critical) == 80
    assert [leg.kind for leg in found.critical][1:3] == ["lock", "transition"]


def test_time_until_somebody_retried_is_no_retry_delay() -> None:
    of = execution(
        200, Source={"app": runs((0, 2))}, Lint={"lint": runs((2, 5), (105, 107))}
    )

    found = timing_of(of, [wait("Lint", "ended", 5, 104)], at(999))

    assert found.stages["Lint"].waiting == {"ended": 99, "retry delay": 1}


def test_what_goes_on_is_counted_until_now() -> None:
    of = execution(
        None, Source={"app": runs((0, 2))}, Production={"ok": runs((5, None))}
    )

    found = timing_of(of, [wait("Build", "lock", 2, None)], at(15))

    assert found.whole.total == 15
    assert found.stages["Production"].waiting == {"approval": 10}
    assert found.stages["Build"].waiting == {"lock": 13}


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    of = execution(3, Source={"app": runs((5, 2), (1, 3))})

    found = timing_of(of, [], at(3))

    assert found.whole.running == 2
    assert all(leg.seconds > 0 for leg in found.critical)
