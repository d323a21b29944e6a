"""Who counts as whom, and that no votes but the right ones approve anything."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.approvals import (
    ASKED,
    Asked,
    Ballot,
    Commit,
    Seen,
    Vote,
    authors_of,
    ballot_of,
    gate_problem,
    seen_by,
)
from prefect_delivery.engine.people import is_meant, key_of
from prefect_delivery.engine.policies import (
    ANONYMOUS,
    Approvers,
    Gates,
    Group,
    policy_of,
)
from prefect_delivery.engine.state import (
    ActionRun,
    ArtifactRef,
    Execution,
    StageRun,
    Status,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SEEN = Seen(artifacts={"site": "a" * 64}, revisions={"app": "c1"}, definition="d")


def vote(person: str, approved: bool = True, fingerprint: str | None = None) -> Vote:
    return Vote(
        person=person,
        approved=approved,
        comment="",
        when=NOW,
        groups=(),
        fingerprint=SEEN.fingerprint if fingerprint is None else fingerprint,
    )


def ballot(rules: Approvers, *votes: Vote, authors: frozenset[str]) -> Ballot:
    return Ballot(policy=policy_of(rules), seen=SEEN, authors=authors, votes=votes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann", "ANN"),
        ("ann", "ann@shop.example"),
        ("ann", "Ann Lee <Ann@Shop.example>"),
        ("ann@home.example", "ann@shop.example"),
        ("ann+ci@shop.example", "ann@shop.example"),
        ("ann", "12345+Ann@users.noreply.github.com"),
        ("ann", " ａｎｎ "),  # noqa: RUF001 - wide letters
        ("Ann Lee <>", "ann lee"),
    ],
)
def test_these_are_taken_for_one_person(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ann", "anna"), ("ann", "bob@ann.example"), ("ann@x.example", "bob@x.example")],
)
def test_these_are_taken_for_two(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize(
    ("person", "entry", "meant"),
    [
        ("Ann", "ann", True),
        ("ann", "ann@shop.example", True),
        ("ANN@shop.example", "ann@shop.example", True),
        ("ann@evil.example", "ann@shop.example", False),
        ("ann@evil.example", "ann", False),
        ("bob", "ann", False),
    ],
)
def test_a_login_stands_for_an_address_but_an_address_for_no_login(
    person: str, entry: str, meant: bool
) -> None:
    assert is_meant(person, entry) is meant


def test_more_than_there_are_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="count is 2, but only 1 may approve"):
        Group(people=["ann", "ann@shop.example"], count=2)
    with pytest.raises(ValidationError, match="count is 3, but only 2 may approve"):
        Approvers(approvers=["ann", "bob"], count=3)


PEOPLE = ["ann", "bob", "cid", "dan", "eve"]
NAMES = st.sampled_from(
    [*PEOPLE, "Ann@shop.example", "BOB", "cid@evil.example", "mallory"]
)
VOTES = st.lists(
    st.builds(
        vote,
        person=NAMES,
        approved=st.sampled_from([True, True, True, False]),
        fingerprint=st.sampled_from([SEEN.fingerprint, SEEN.fingerprint, "other"]),
    ),
    max_size=8,
)
GROUPS = st.dictionaries(
    st.sampled_from(["dev", "ops"]),
    st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True).flatmap(
        lambda people: st.builds(
            Group, people=st.just(people), count=st.integers(1, len(people))
        )
    ),
    min_size=1,
)
AUTHORS = st.frozensets(st.sampled_from(PEOPLE), max_size=2)


@given(GROUPS, VOTES, AUTHORS)
def test_nothing_is_approved_by_fewer_people_than_every_group_asks_for(
    groups: dict[str, Group], votes: list[Vote], authors: frozenset[str]
) -> None:
    found = ballot(Approvers(groups=groups), *votes, authors=authors)

    # Counted once more, without a line of the code under test.
    login = {"Ann@shop.example": "ann", "BOB": "bob"}
    yes = {
        login.get(v.person, v.person)
        for v in votes
        if v.approved and v.fingerprint == SEEN.fingerprint
    } - authors
    enough = all(len(yes & {*g.people}) >= g.count for g in groups.values())
    addresses_count = any(v.person == "Ann@shop.example" for v in votes)
    if found.approved:
        assert enough
    elif enough and not found.rejected:
        assert addresses_count  # an address does not stand for the login `ann`


@given(GROUPS, VOTES, st.sampled_from(PEOPLE))
def test_a_rejection_by_one_who_is_asked_always_wins(
    groups: dict[str, Group], votes: list[Vote], who: str
) -> None:
    asked = {person for group in groups.values() for person in group.people}
    no = vote(who, approved=False)

    found = ballot(Approvers(groups=groups), *votes, no, authors=frozenset())

    assert found.rejected or who not in asked
    assert not (found.approved and who in asked)


def test_nobody_approves_what_they_wrote_but_may_reject_it() -> None:
    rules = Approvers(approvers=["ann", "bob"])
    found = ballot(rules, vote("ann"), authors=frozenset({"ann"}))

    assert not found.approved
    assert found.objection("ann", approved=True) == "ann wrote or started it"
    assert found.objection("ann", approved=False) is None
    assert [str(missing) for missing in found.missing] == ["1 of approvers (bob)"]


def test_anybody_may_decide_where_nobody_was_named() -> None:
    author = frozenset({"ann"})

    assert ballot(Approvers(), vote("ann"), authors=author).approved
    assert not ballot(Approvers(count=2), vote("ann"), authors=author).approved
    assert not ballot(
        Approvers(count=2, forbid_author=False),
        vote("ann"),
        vote("ann@shop.example"),
        authors=author,
    ).approved


def test_the_people_of_a_group_can_change_until_the_use() -> None:
    votes = {("Approve", "ok", 1): [vote("ann"), vote("bob")]}
    made = released({"ok": approval("shop/production")}, votes)

    assert problem(made, votes, people=["ann", "bob"], count=2) is None
    assert problem(made, votes, people=["ann", "bea"], count=2) == (
        "shop/production lacks the approval of 1 of approvers (bea)"
    )


# An execution that has built and been approved, and what its deployment is told.


def approval(environment: str, status: Status = Status.SUCCEEDED) -> ActionRun:
    asked = Asked(environment=environment, people=("eve",))
    return ActionRun(
        attempt=1, status=status, started=NOW, variables={ASKED: asked.as_text()}
    )


def released(
    approvals: dict[str, ActionRun],
    votes: dict[tuple[str, str, int], list[Vote]] | None = None,
    **changes: Any,
) -> Execution:
    """Votes are made to be about what the execution holds."""
    manual = {"uses": "approval/manual"}
    definition = Pipeline.model_validate(
        {
            "pipeline": "shop",
            "stages": {
                "Source": {"needs": [], "actions": {"app": {"uses": "source/git"}}},
                "Build": {
                    "needs": ["Source"],
                    "actions": {"package": {"uses": "build/commands"}},
                },
                "Docs": {
                    "needs": ["Source"],
                    "actions": {"page": {"uses": "build/commands"}},
                },
                "Approve": {
                    "needs": ["Build"],
                    "actions": {name: manual for name in approvals or ["none"]},
                },
            },
        }
    )
    source = {
        "commit": "c1",
        "author": "Dan <dan@shop.example>",
        "committer": "GitHub <noreply@github.com>",
        "message": "Cart\n\nCo-authored-by: Cid <cid@shop.example>\n",
    }

    def stage(**actions: ActionRun) -> StageRun:
        runs: dict[str, tuple[ActionRun, ...]] = {n: (r,) for n, r in actions.items()}
        return StageRun(status=Status.SUCCEEDED, started=NOW, actions=runs)

    def built(artifact: str) -> ActionRun:
        made = {artifact: ArtifactRef(digest=artifact * 8, size=1)}
        return ActionRun(
            attempt=1, status=Status.SUCCEEDED, started=NOW, artifacts=made
        )

    run = ActionRun(attempt=1, status=Status.SUCCEEDED, started=NOW, variables=source)
    execution = Execution(
        id="x",
        pipeline="shop",
        number=1,
        definition=definition,
        status=Status.IN_PROGRESS,
        started=NOW,
        started_by="starter",
        revisions={"app": "c1"},
        stages={
            "Source": stage(app=run),
            "Build": stage(package=built("site")),
            "Approve": stage(**approvals),
        }
        | changes,
    )
    for (at, action, _), cast in (votes or {}).items():
        about = seen_by(execution, at, action).fingerprint
        cast[:] = [vote(v.person, v.approved, about) for v in cast]
    return execution


def problem(
    execution: Execution,
    votes: dict[tuple[str, str, int], list[Vote]],
    *,
    people: list[str],
    count: int = 1,
    artifact: str = "site" * 8,
) -> str | None:
    gates = Gates(approvers=people, count=count)
    return gate_problem(execution, gates, "shop/production", artifact, votes)


def test_a_gate_lets_in_exactly_what_was_approved_for_it() -> None:
    votes = {("Approve", "ok", 1): [vote("ann")]}
    made = released({"ok": approval("shop/production")}, votes)

    assert problem(made, votes, people=["ann"]) is None
    assert "for this artifact" in str(
        problem(made, votes, people=["ann"], artifact="other")
    )


@pytest.mark.parametrize(
    "given",
    [
        approval("shop/staging"),
        approval("shop/production", Status.WAITING),
        approval("shop/production", Status.FAILED),
    ],
)
def test_an_approval_for_another_place_or_that_was_not_given_counts_for_nothing(
    given: ActionRun,
) -> None:
    votes = {("Approve", "ok", 1): [vote("ann")]}
    made = released({"ok": given}, votes)

    assert "needs an approval that names it" in str(
        problem(made, votes, people=["ann"])
    )


def test_an_approval_of_another_revision_counts_for_nothing() -> None:
    votes = {("Approve", "ok", 1): [vote("ann")]}
    released({"ok": approval("shop/production")}, votes)
    other = released({"ok": approval("shop/production")})
    other.revisions["app"] = "c2"

    assert problem(other, votes, people=["ann"]) == (
        "shop/production lacks the approval of 1 of approvers (ann)"
    )


@pytest.mark.parametrize("writer", ["starter", "dan", "cid", "eve"])
def test_a_gate_does_not_count_who_started_or_wrote_it(writer: str) -> None:
    votes = {("Approve", "ok", 1): [vote(writer)]}
    made = released({"ok": approval("shop/production")}, votes)

    assert "lacks the approval" in str(problem(made, votes, people=[writer, "ann"]))


def test_other_pipelines_may_be_kept_out() -> None:
    made = released({})
    gates = Gates(pipelines=["web-*"])

    assert gate_problem(made, gates, "production", "x", {}) == (
        "production takes nothing from pipeline 'shop'"
    )
    assert gate_problem(made, Gates(pipelines=["sh*"]), "production", "x", {}) is None


def test_what_is_built_beside_an_approval_does_not_unsettle_it() -> None:
    before = released({"ok": approval("shop/production")})
    page = ActionRun(
        attempt=1,
        status=Status.SUCCEEDED,
        started=NOW,
        artifacts={"page": ArtifactRef(digest="p", size=1)},
    )
    docs = StageRun(status=Status.SUCCEEDED, started=NOW, actions={"page": (page,)})
    after = released({"ok": approval("shop/production")}, Docs=docs)

    assert seen_by(before, "Approve", "ok") == seen_by(after, "Approve", "ok")
    assert seen_by(after, "Approve", "ok").artifacts == {"site": "site" * 8}


def test_authors_are_all_that_a_commit_names_and_who_started_it() -> None:
    assert authors_of(released({})) == {"dan", "cid", "noreply", "starter"}


def test_what_was_asked_survives_as_text() -> None:
    asked = Asked(
        message="look",
        environment="shop/production",
        base="b",
        gates=Gates(groups={"leads": Group(people=["ann"])}, branches=["main"]),
        commits=(Commit(commit="c1", author="A <a@b>", message="x"),),
        people=("a",),
    )
    run = ActionRun(
        attempt=1,
        status=Status.WAITING,
        started=NOW,
        variables={ASKED: asked.as_text()},
    )

    assert Asked.of(run) == asked


def test_an_environments_groups_are_asked_besides_the_actions_own() -> None:
    asked = Asked(environment="prod", gates=Gates(approvers=["ann"]))
    run = ActionRun(
        attempt=1,
        status=Status.WAITING,
        started=NOW,
        variables={ASKED: asked.as_text()},
    )

    found = ballot_of(released({"ok": run}), "Approve", "ok", run)

    assert [*found.policy.groups] == ["prod: approvers"]
    assert found.policy.forbid_author


@pytest.mark.parametrize(
    ("own", "gates", "counts"),
    [
        (Approvers(), None, False),
        (Approvers(anonymous=True), None, True),
        (Approvers(anonymous=True, forbid_author=True), None, False),
        (Approvers(anonymous=True, approvers=["ann"]), None, False),
        # Of an environment's approvals, it decides alone.
        (Approvers(anonymous=True), Gates(), False),
        (Approvers(), Gates(anonymous=True), True),
    ],
)
def test_an_anonymous_vote_counts_only_where_that_is_allowed(
    own: Approvers, gates: Gates | None, counts: bool
) -> None:
    policy = policy_of(own, gates, "production" if gates else None)
    votes = (vote(ANONYMOUS),)
    cast = Ballot(policy=policy, seen=SEEN, authors=frozenset(), votes=votes)

    assert cast.approved is counts
