"""What becomes of a rollout whose owner has died."""

from datetime import UTC, datetime

import pytest

from prefect_delivery.ledger import Rollout, RolloutKind, Step
from prefect_delivery.rollout.recovery import Recovery, decide_recovery

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rollout(kind: RolloutKind, *verbs: str) -> Rollout:
    return Rollout(
        id="r",
        environment="production",
        release="new",
        previous="old",
        execution_id="",
        kind=kind,
        status="open",
        opened=NOW,
        steps=tuple(
            Step(seq=number, verb=verb, detail={}, intended=NOW)
            for number, verb in enumerate(verbs, 1)
        ),
    )


@pytest.mark.parametrize(
    ("kind", "verbs", "observed", "expected"),
    [
        ("forward", [], "old", "undo"),
        ("forward", ["prepare", "shift"], None, "undo"),
        ("forward", ["prepare", "shift"], "new", "undo"),
        ("forward", ["prepare", "shift", "commit"], None, "undo"),
        ("forward", ["prepare", "shift", "commit"], "old", "undo"),
        ("forward", ["prepare", "shift", "commit"], "new", "finish"),
        ("forward", ["prepare", "commit", "undo-prepare"], "new", "undo"),
        ("rollback", [], "old", "resume"),
        ("rollback", ["prepare", "shift"], None, "resume"),
        ("rollback", ["prepare", "shift", "commit"], "new", "finish"),
        ("rollback", ["prepare", "undo-prepare"], "old", "undo"),
    ],
)
def test_an_unfinished_rollout_ends_on_one_release(
    kind: RolloutKind, verbs: list[str], observed: str | None, expected: Recovery
) -> None:
    assert decide_recovery(rollout(kind, *verbs), observed) == expected
