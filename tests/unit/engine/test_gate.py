"""Who may enter a stage, by table and by simulation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_delivery.engine.gate import (
    Enter,
    Hold,
    Mode,
    Other,
    Superseded,
    Verdict,
    gate,
)


def other(number: int, place: str, *, rollback: bool = False) -> Other:
    return Other(number=number, place=place, rollback=rollback)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "others", "verdict"),
    [
        ("superseded", [], Enter()),
        ("superseded", [other(4, "inside")], Hold(reason="#4 is in it")),
        ("superseded", [other(4, "before")], Enter()),
        ("superseded", [other(6, "before")], Superseded(by=6)),
        ("superseded", [other(6, "inside")], Superseded(by=6)),
        ("superseded", [other(6, "through")], Superseded(by=6)),
        ("superseded", [other(6, "before"), other(7, "before")], Superseded(by=7)),
        ("superseded", [other(6, "through", rollback=True)], Enter()),
        (
            "superseded",
            [other(6, "inside", rollback=True)],
            Hold(reason="#6 is in it"),
        ),
        ("queued", [], Enter()),
        ("queued", [other(4, "inside")], Hold(reason="#4 is in it")),
        ("queued", [other(4, "before")], Hold(reason="#4 is before it")),
        ("queued", [other(6, "before")], Enter()),
        (
            "queued",
            [other(3, "before"), other(2, "before")],
            Hold(reason="#2 is before it"),
        ),
        ("parallel", [other(4, "inside"), other(6, "inside")], Enter()),
    ],
)
def test_the_gate_for_the_fifth_execution(
    mode: Mode, others: list[Other], verdict: Verdict
) -> None:
    assert gate(mode, 5, others) == verdict


@pytest.mark.parametrize("rollback", [False, True])
@pytest.mark.parametrize("mode", ["superseded", "queued", "parallel"])
def test_nothing_enters_by_a_disabled_transition(mode: Mode, rollback: bool) -> None:
    assert gate(mode, 5, [], rollback=rollback, disabled="closed by ann") == Hold(
        reason="closed by ann", for_people=True
    )


def test_waiting_before_a_disabled_transition_is_superseded_all_the_same() -> None:
    newer = [other(6, "before")]

    assert gate("superseded", 5, newer, disabled="closed") == Superseded(by=6)


@pytest.mark.parametrize("mode", ["superseded", "queued"])
def test_a_rollback_is_neither_superseded_nor_queued_but_waits_for_the_lock(
    mode: Mode,
) -> None:
    newer, older = other(6, "through"), other(4, "before")

    assert gate(mode, 5, [newer, older], rollback=True) == Enter()
    assert gate(mode, 5, [other(4, "inside")], rollback=True) == Hold(
        reason="#4 is in it"
    )


@settings(deadline=None)
@given(st.sampled_from(["superseded", "queued"]), st.data())
def test_one_at_a_time_in_order_and_the_newest_always_gets_through(
    mode: Mode, data: st.DataObject
) -> None:
    places: dict[int, str] = {}
    entered: list[int] = []
    count = data.draw(st.integers(1, 12))
    arrived = 0
    while arrived < count or {"before", "inside"} & set(places.values()):
        inside = [n for n, place in places.items() if place == "inside"]
        waiting = [n for n, place in places.items() if place == "before"]
        choices = ["arrive"] * (arrived < count) + ["leave"] * bool(inside)
        choices += ["ask"] * bool(waiting)
        match data.draw(st.sampled_from(choices)):
            case "arrive":
                arrived += 1
                places[arrived] = "before"
            case "leave":
                places[inside[0]] = "through"
            case "ask":
                asking = data.draw(st.sampled_from(waiting))
                seen = [
                    other(n, place)
                    for n, place in places.items()
                    if n != asking and place != "superseded"
                ]
                match gate(mode, asking, seen):
                    case Enter():
                        assert not inside
                        entered.append(asking)
                        places[asking] = "inside"
                    case Superseded(by=newer):
                        assert newer > asking
                        places[asking] = "superseded"
                    case Hold():
                        # Somebody else is in the way: there is no deadlock.
                        assert inside or min(waiting) < asking

    assert entered == sorted(entered)
    assert entered[-1] == count
    if mode == "queued":
        assert entered == list(range(1, count + 1))
