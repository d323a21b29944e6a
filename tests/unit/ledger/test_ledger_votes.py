"""Votes on approvals: who may, how many it takes, and what becomes of late ones."""

import json
from collections.abc import Callable

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.approvals import ASKED, Asked
from prefect_delivery.engine.policies import Gates
from prefect_delivery.engine.state import ActionRun, ArtifactRef, Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Attempt, Ledger

RULES = {
    "groups": {
        "dev": {"people": ["bob", "cid@shop.example", "dan"], "count": 2},
        "ops": {"people": ["eve"]},
    }
}


@pytest.fixture
def asked() -> Asked:
    """What the waiting approval asks about."""
    return Asked()


@pytest.fixture
def shop() -> Pipeline:
    return Pipeline.model_validate(
        {
            "pipeline": "shop",
            "stages": {
                "Source": {"needs": [], "actions": {"app": {"uses": "source/git"}}},
                "Approve": {
                    "needs": ["Source"],
                    "actions": {
                        "run": {
                            "uses": "approval/manual",
                            "with": RULES,
                            "timeout": 60,
                        }
                    },
                },
            },
        }
    )


@pytest.fixture
def attempt(ledger: Ledger, execution: Execution, asked: Asked) -> Attempt:
    """An attempt whose approval waits for two of dev and one of ops."""
    made = ledger.executions.claim(execution.id, holder="worker", ttl=30)
    ledger.executions.enter_stage(made, "Source")
    bring(ledger, made, 1, "first")
    ledger.executions.enter_stage(made, "Approve")
    ask(ledger, made, 1, asked)
    return made


def bring(ledger: Ledger, attempt: Attempt, number: int, artifact: str) -> None:
    ledger.executions.begin_action(attempt, "Source", "app", number)
    ledger.executions.end_action(
        attempt,
        "Source",
        "app",
        number,
        Status.SUCCEEDED,
        artifacts={"app": ArtifactRef(digest=artifact, size=1)},
        variables={"commit": "c1", "author": "Dan <dan@home.example>"},
    )


def ask(ledger: Ledger, attempt: Attempt, number: int, asked: Asked) -> None:
    ledger.executions.begin_action(attempt, "Approve", "run", number)
    ledger.executions.end_action(
        attempt,
        "Approve",
        "run",
        number,
        Status.WAITING,
        variables={ASKED: asked.as_text()},
    )


@pytest.fixture
def decide(ledger: Ledger, attempt: Attempt) -> Callable[..., list[str]]:
    """Vote, and say who is missing then."""

    def vote(by: str, approved: bool = True, seen: str | None = None) -> list[str]:
        missing = ledger.executions.decide(
            attempt.execution_id, "Approve", "run", by=by, approved=approved, seen=seen
        )
        return [str(each) for each in missing]

    return vote


def standing(ledger: Ledger, attempt: Attempt) -> ActionRun:
    execution = ledger.executions.get(attempt.execution_id)
    return execution.stages["Approve"].actions["run"][-1]


Decide = Callable[..., list[str]]


def test_every_group_has_to_approve(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    first = decide("bob")
    second = decide("EVE")
    before = standing(ledger, attempt)
    third = decide("cid")

    assert first == ["1 of dev (cid@shop.example)", "1 of ops (eve)"]
    assert second == ["1 of dev (cid@shop.example)"]
    assert before.status is Status.WAITING
    assert third == []
    done = standing(ledger, attempt)
    assert (done.status, done.summary) == (
        Status.SUCCEEDED,
        "approved by bob, cid, EVE",
    )
    kept = ledger.votes.list(attempt.execution_id)["Approve", "run", 1]
    assert {vote.person: vote.groups for vote in kept} == {
        "bob": ("dev",),
        "EVE": ("ops",),
        "cid": ("dev",),
    }
    ledger.audit.verify()


def test_one_person_has_one_vote_whatever_they_call_themselves(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    decide("cid")

    with pytest.raises(Refused, match=r"cid has approved .* already, at 2026-03-29"):
        decide("CID@shop.example")

    assert standing(ledger, attempt).status is Status.WAITING


def test_a_rejection_ends_it_at_once_also_by_one_who_had_approved(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    decide("bob")
    decide("cid")

    assert decide("bob", False) == []

    done = standing(ledger, attempt)
    assert (done.status, done.error) == (Status.FAILED, "rejected by bob")
    with pytest.raises(Refused, match="waits no more: rejected by bob at 2026-03-29"):
        decide("eve")


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ("mallory", "mallory is not asked"),
        ("eve@evil.example", "eve@evil.example is not asked"),
        ("dan", "dan wrote or started it"),
    ],
)
def test_who_may_not_approve_is_told_why_and_leaves_no_vote(
    ledger: Ledger, attempt: Attempt, decide: Decide, person: str, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        decide(person)

    assert ledger.votes.list(attempt.execution_id) == {}


def test_who_wrote_it_may_reject_it(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    decide("dan", False)

    assert standing(ledger, attempt).status is Status.FAILED


def test_a_decision_counts_only_for_what_was_shown(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    with pytest.raises(Refused, match="has changed since it was shown"):
        decide("bob", seen="0" * 64)

    assert ledger.votes.list(attempt.execution_id) == {}


def test_votes_for_something_else_count_no_more(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    decide("bob")
    decide("cid")
    bring(ledger, attempt, 2, "second")

    assert decide("eve") == ["2 of dev (bob, cid@shop.example)"]
    assert decide("bob") == ["1 of dev (cid@shop.example)"]
    assert decide("cid") == []


def test_another_attempt_needs_other_votes(
    ledger: Ledger, attempt: Attempt, decide: Decide, asked: Asked
) -> None:
    decide("bob")
    decide("cid")
    decide("eve", False)
    ask(ledger, attempt, 2, asked)

    assert decide("eve") == ["2 of dev (bob, cid@shop.example)"]


def test_nothing_is_decided_once_time_is_over_though_nobody_has_noticed(
    ledger: Ledger,
    attempt: Attempt,
    decide: Decide,
    pass_time: Callable[[float], None],
) -> None:
    decide("bob")
    pass_time(60 * 60)

    with pytest.raises(Refused, match="waits no more: timed out at 2026-03-29 01:59"):
        decide("cid")

    assert standing(ledger, attempt).status is Status.WAITING


class TestForAnEnvironment:
    """Whose gates ask a lead as well."""

    @pytest.fixture
    def asked(self) -> Asked:
        gates = Gates(approvers=["fay", "gus"])
        return Asked(environment="production", gates=gates, people=("gus",))

    def test_its_people_are_asked_too_but_not_about_what_they_wrote(
        self, decide: Decide
    ) -> None:
        decide("bob")
        decide("cid")

        assert decide("eve") == ["1 of production: approvers (fay)"]
        with pytest.raises(Refused, match="gus wrote or started it"):
            decide("gus")
        assert decide("fay") == []


def test_the_audit_log_tells_every_vote(
    ledger: Ledger, attempt: Attempt, decide: Decide
) -> None:
    decide("bob")

    entry = ledger.audit.entries(limit=1)[0]
    assert (entry.actor, entry.verb) == ("bob", "decide")
    assert entry.detail["approved"] is True
    assert entry.detail["missing"] == ["1 of dev (cid@shop.example)", "1 of ops (eve)"]
    assert len(entry.detail["fingerprint"]) == 64
    assert json.dumps(entry.detail)
