import os
import subprocess

import pytest

from prefect_delivery.holder import is_dead, this_holder

CHILD = (
    "from prefect_delivery.holder import this_holder;"
    "print(this_holder(), flush=True); input()"
)


@pytest.fixture
def parts() -> list[str]:
    """Host, boot, namespace, pid and start of this process."""
    return this_holder().split(":")


def test_a_running_process_is_alive_and_named_the_same_every_time() -> None:
    assert this_holder() == this_holder()
    assert not is_dead(this_holder())


def test_a_process_is_dead_once_it_has_ended_even_before_it_is_reaped(
    python: list[str],
) -> None:
    child = subprocess.Popen(
        [*python, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stdin
    holder = child.stdout.readline().strip()
    alive = is_dead(holder)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not alive
    assert is_dead(holder)
    child.communicate()
    assert is_dead(holder)


def test_a_later_process_with_the_same_number_is_another_one(parts: list[str]) -> None:
    assert is_dead(":".join([*parts[:4], "1"]))


def test_a_reboot_kills_all_holders(parts: list[str]) -> None:
    assert is_dead(":".join([parts[0], "earlier-boot", *parts[2:]]))


@pytest.mark.parametrize(
    ("position", "other"), [(0, "another-host"), (2, "4026530000")]
)
def test_processes_of_other_machines_and_containers_may_live(
    parts: list[str], position: int, other: str
) -> None:
    parts[position] = other

    assert not is_dead(":".join([*parts[:4], "1"]))


@pytest.mark.parametrize("holder", ["", "ann", "a:b", "a:b:c:d:e:f"])
def test_of_a_holder_that_is_no_process_nothing_is_known(holder: str) -> None:
    assert not is_dead(holder)
