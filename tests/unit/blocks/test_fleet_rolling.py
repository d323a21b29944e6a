import pytest

from prefect_delivery.blocks.fleet_rolling import (
    HostView,
    MinimumHealthy,
    Predefined,
    has_succeeded,
    least,
    next_batch,
)


def count(value: int) -> MinimumHealthy:
    return MinimumHealthy(type="HOST_COUNT", value=value)


def percent(value: int) -> MinimumHealthy:
    return MinimumHealthy(type="FLEET_PERCENT", value=value)


def fleet(said: str) -> list[HostView]:
    """A host a letter: `o` runs the old release, `n` the new one, `e` none yet;
    `f` has failed, `g` is gone.
    """
    states = {"f": "failed", "g": "gone"}
    current = {"o": "old", "n": "new", "f": "old"}
    return [
        HostView(
            name=f"{letter}{index}",
            state=states.get(letter, "healthy"),  # type: ignore[arg-type]  # of the three
            current=current.get(letter),
        )
        for index, letter in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("rule", "hosts", "minimum"),
    [
        ("OneAtATime", 10, 9),
        ("OneAtATime", 1, 0),
        ("HalfAtATime", 9, 5),
        ("HalfAtATime", 1, 0),
        ("AllAtOnce", 10, 0),
        (count(8), 10, 8),
        (percent(75), 10, 8),
        (percent(99), 10, 9),
        (percent(100), 4, 3),
    ],
)
def test_the_minimum_is_rounded_up_and_leaves_a_host_to_deploy_to(
    rule: Predefined | MinimumHealthy, hosts: int, minimum: int
) -> None:
    assert least(rule, hosts) == minimum


@pytest.mark.parametrize(
    ("said", "minimum", "done", "back", "batch"),
    [
        ("ooo", 2, "", False, "o0"),
        ("ooo", 0, "", False, "o0 o1 o2"),
        ("nno", 2, "", False, "o2"),
        ("nnn", 2, "", False, ""),
        # without a release before those with one, failed and gone before all
        ("oeo", 2, "", False, "e1"),
        ("oogf", 2, "", False, "g2 f3"),
        ("ooogf", 2, "", False, "g3 f4 o0"),
        # healing is no harm; a failure of our own below the minimum is
        ("off", 2, "", False, "f1 f2"),
        ("nof", 3, "f2", False, ""),
        ("nof", 2, "f2", False, ""),
        ("nof", 1, "f2", False, "o1"),
        # the way back is never barred
        ("oog", 3, "g2", True, "o0"),
        ("oof", 3, "", True, "f2"),
    ],
)
def test_a_batch_leaves_enough_hosts_healthy(
    said: str, minimum: int, done: str, back: bool, batch: str
) -> None:
    found = next_batch(fleet(said), "new", minimum, back=back, done=set(done.split()))

    assert found == batch.split()


@pytest.mark.parametrize(
    ("said", "minimum", "back", "success"),
    [
        ("nnn", 2, False, True),
        ("nnf", 2, False, True),
        ("nff", 2, False, False),
        ("nno", 2, False, False),
        ("fff", 0, False, False),
        ("nnf", 2, True, False),
        ("ngg", 2, True, True),
        ("ggg", 0, True, False),
    ],
)
def test_enough_healthy_hosts_are_a_success(
    said: str, minimum: int, back: bool, success: bool
) -> None:
    assert has_succeeded(fleet(said), "new", minimum, back=back) == success
