"""Destinations' places in the audit log: one sender at a time, in order, nothing lost."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import LeaseLost
from prefect_delivery.ledger import Destination, Entry, Ledger, Turn
from prefect_delivery.ledger.outbox import GIVEN_UP

BLOCK = "slack-webhook/team"


def place(ledger: Ledger, name: str = BLOCK) -> Destination:
    [found] = [each for each in ledger.outbox.list() if each.name == name]
    return found


def take(ledger: Ledger, holder: str = "one", name: str = BLOCK) -> Turn | None:
    return ledger.outbox.take(name, holder=holder, ttl=30)


def taken(ledger: Ledger, holder: str = "one") -> Turn:
    turn = take(ledger, holder)
    assert turn is not None
    return turn


def next_entries(ledger: Ledger, after: int, limit: int = 9) -> list[Entry]:
    return ledger.outbox.entries(after, limit=limit, verbs={"disable transition"})[0]


@pytest.fixture
def opened(ledger: Ledger, execution: Execution) -> Ledger:
    ledger.outbox.open(BLOCK, execution.id)
    return ledger


def test_a_destination_hears_of_all_since_the_start_of_an_execution(
    ledger: Ledger, shop: Pipeline, execution: Execution
) -> None:
    second = ledger.executions.start(shop, variables={}, started_by="ann")
    ledger.outbox.open(BLOCK, second.id)
    ledger.outbox.open(BLOCK, execution.id)  # too late: it has begun

    found, _ = ledger.outbox.entries(
        place(ledger).position, limit=9, verbs={"start execution"}
    )

    assert [entry.subject for entry in found] == ["shop #2"]


def test_the_blocks_of_a_definition_hear_of_its_first_start(ledger: Ledger) -> None:
    build = {"actions": {"run": {"uses": "build/commands"}}}
    told = {"to": BLOCK, "on": ["stage.failed"]}
    definition = Pipeline.model_validate(
        {"pipeline": "shop", "stages": {"Build": {**build, "notifications": [told]}}}
    )
    ledger.transitions.disable("shop", "Build", by="ann", reason="before")
    for _ in range(2):
        ledger.executions.start(definition, variables={}, started_by="ann")

    assert place(ledger).behind == 2


def test_one_sender_at_a_time_has_the_turn(
    opened: Ledger, pass_time: Callable[[float], None]
) -> None:
    first = taken(opened, "one")
    assert take(opened, "two") is None
    pass_time(20)
    opened.outbox.told(first, first.position + 1)
    pass_time(20)
    assert take(opened, "two") is None, "what is told keeps the turn"
    pass_time(11)

    second = taken(opened, "two")

    assert second.position == first.position + 1
    changes: list[Callable[[], None]] = [
        lambda: opened.outbox.told(first, 99),
        lambda: opened.outbox.passed(first, 99),
        lambda: opened.outbox.failed(first, "no", seconds=1),
        lambda: opened.outbox.give_up(first, 99, subject="shop #1", reason="no"),
    ]
    for change in changes:
        with pytest.raises(LeaseLost):
            change()
    opened.outbox.leave(first)
    assert take(opened, "three") is None
    assert place(opened).position == second.position
    assert place(opened).error is None


def test_the_turn_of_the_dead_is_taken_over_at_once(opened: Ledger) -> None:
    taken(opened, "dead")

    def dead(holder: str) -> bool:
        return holder == "dead"

    assert opened.outbox.take(BLOCK, holder="two", ttl=30, dead=dead)
    assert opened.outbox.take(BLOCK, holder="three", ttl=30, dead=dead) is None


def test_what_failed_is_due_later_and_forgotten_once_it_is_told(
    opened: Ledger, pass_time: Callable[[float], None]
) -> None:
    opened.outbox.failed(taken(opened), "answers 500", seconds=60)
    began = place(opened).since
    pass_time(59)
    assert take(opened) is None
    assert not place(opened).due
    pass_time(1)
    again = taken(opened)
    assert again.tries == 1
    opened.outbox.failed(again, "answers 503", seconds=1)
    known = place(opened)
    assert (known.tries, known.error, known.since) == (2, "answers 503", began)
    pass_time(1)

    opened.outbox.told(taken(opened), again.position + 1)

    known = place(opened)
    assert (known.tries, known.error, known.since) == (0, None, None)


def test_what_is_given_up_is_in_the_audit_log(opened: Ledger) -> None:
    turn = taken(opened)

    opened.outbox.give_up(turn, turn.position + 1, subject="shop #1", reason="too old")

    [entry] = opened.outbox.given_up(limit=9)
    assert entry == opened.audit.entries(1, subject="shop #1")[0]
    assert entry.verb == GIVEN_UP
    detail = {"to": BLOCK, "entry": turn.position + 1, "reason": "too old"}
    assert entry.detail == detail
    opened.audit.verify()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["record", "take", "tell", "die", "fail", "leave", "wait"]),
        st.sampled_from(["one", "two"]),
    ),
    max_size=40,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_senders_do_everything_is_told_in_order(
    ledger: Ledger,
    execution: Execution,
    pass_time: Callable[[float], None],
    steps: list[tuple[str, str]],
) -> None:
    """Two senders that tell, fail, die between telling and noting, or are too slow."""
    name = f"block-{len(ledger.outbox.list())}/team"
    shop = execution.definition
    begun = ledger.executions.start(shop, variables={}, started_by="ann")
    ledger.outbox.open(name, begun.id)
    heard: list[int] = []
    turns: dict[str, Turn] = {}
    at: dict[str, int] = {}

    def act(step: str, who: str) -> None:
        turn = turns.get(who)
        if step == "record":
            ledger.transitions.disable("shop", "Build", by="ann", reason="x")
            ledger.transitions.enable("shop", "Build", by="ann")
        elif step == "wait":
            pass_time(31)
        elif step == "take" and turn is None:
            if made := take(ledger, who, name):
                turns[who], at[who] = made, made.position
        elif turn is not None and step in {"tell", "die"}:
            if found := next_entries(ledger, at[who])[:1]:
                heard.append(found[0].seq)  # only then does it learn that it was slow
                if step == "tell":
                    ledger.outbox.told(turn, found[0].seq)
                    at[who] = found[0].seq
            if step == "die":
                del turns[who]
        elif turn is not None and step in {"fail", "leave"}:
            del turns[who]
            if step == "fail":
                ledger.outbox.failed(turn, "no", seconds=5)
            ledger.outbox.leave(turn)

    begin = place(ledger, name).position
    for step, who in steps:
        try:
            act(step, who)
        except LeaseLost:
            turns.pop(who, None)
    pass_time(31)
    turns.clear()
    act("take", "one")
    for _ in range(len(steps)):
        act("tell", "one")

    everything = [entry.seq for entry in next_entries(ledger, begin, limit=10_000)]
    assert list(dict.fromkeys(heard)) == everything
