"""Which steps a strategy is made of."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prefect_delivery.rollout import (
    Canary,
    CanaryStep,
    Increment,
    Linear,
    Strategy,
    plan_steps,
)

strategies: st.SearchStrategy[Strategy] = st.one_of(
    st.sampled_from(["all-at-once", "blue-green"]),
    st.lists(
        st.floats(min_value=0.1, max_value=100), min_size=1, max_size=9, unique=True
    ).map(
        lambda shares: Canary(canary=[CanaryStep(percent=p) for p in sorted(shares)])
    ),
    st.floats(min_value=1, max_value=100).map(
        lambda share: Linear(linear=Increment(percent=share, pause=1))
    ),
)


def shown(strategy: Strategy, has_traffic: bool = True, bake: float = 0) -> str:
    steps = plan_steps(strategy, has_traffic, bake=bake)
    return " ".join(
        f"{step.verb}-{step.percent:g}" if step.verb == "shift" else step.verb
        for step in steps
    )


def test_all_at_once_checks_the_release_only_when_it_has_the_traffic() -> None:
    assert shown("all-at-once") == "prepare before shift-100 verify after commit"


def test_blue_green_checks_the_release_before_it_gets_traffic() -> None:
    assert shown("blue-green") == "prepare before verify shift-100 verify after commit"


def test_a_canary_is_checked_at_each_share_and_watched_where_it_pauses() -> None:
    canary = Canary(
        canary=[CanaryStep(percent=5), CanaryStep(percent=50, pause=30)],
    )

    assert shown(canary) == (
        "prepare before verify shift-5 verify shift-50 verify watch"
        " shift-100 verify after commit"
    )


def test_linear_steps_end_with_the_rest_however_small() -> None:
    linear = Linear(linear=Increment(percent=40, pause=0))

    assert "shift-40 verify shift-80 verify shift-100" in shown(linear)


def test_without_traffic_to_split_every_strategy_is_one_switch() -> None:
    canary = Canary(canary=[CanaryStep(percent=5, pause=30)])

    assert shown(canary, has_traffic=False) == shown("blue-green")


def test_the_bake_comes_last_before_the_commit() -> None:
    assert shown("blue-green", bake=1).endswith("shift-100 verify after watch commit")


@given(strategies, st.booleans(), st.floats(min_value=0, max_value=60))
def test_every_plan_rises_to_all_traffic_and_ends_with_the_commit(
    strategy: Strategy, has_traffic: bool, bake: float
) -> None:
    steps = plan_steps(strategy, has_traffic, bake=bake)

    shares = [step.percent for step in steps if step.verb == "shift"]
    assert shares == sorted(set(shares))
    assert shares[-1] == 100
    assert steps[0].verb == "prepare"
    assert [step.verb for step in steps].index("commit") == len(steps) - 1
    for shift, check in pairwise(steps):
        assert shift.verb != "shift" or check.verb == "verify"


@pytest.mark.parametrize("shares", [[50, 10], [10, 10]])
def test_a_canary_that_does_not_rise_is_refused(shares: list[float]) -> None:
    with pytest.raises(ValidationError, match="must rise"):
        Canary(canary=[CanaryStep(percent=share) for share in shares])
