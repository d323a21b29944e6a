"""Only one process changes a host, and one that lost its lease changes nothing."""

import fcntl
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from host_shop import Shop, ask, quiet
from processes import Child

from prefect_delivery.blocks import Hooks, HostEnvironment
from prefect_delivery.blocks.host_fence import Fence
from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.ledger import Ledger, Release
from prefect_delivery.rollout import recover, roll_out

MakeHost = Callable[..., HostEnvironment]
RollOut = Callable[..., object]


def test_of_two_processes_that_roll_out_at_once_one_is_refused(
    shop: Shop, make_host: MakeHost, into: RollOut, tmp_path: Path
) -> None:
    reached, go_on = pipe(tmp_path / "reached"), pipe(tmp_path / "go-on")
    hooks = Hooks(before=[f"echo > {reached}", f"cat {go_on}"])
    slow, quick = make_host(hooks=hooks), make_host()
    one, two = shop.release("one"), shop.release("two")
    first = Child(lambda: roll_out_anew(shop, slow, one))
    reached.read_text()

    with pytest.raises(Refused, match="is being changed by"):
        into(quick, two)
    go_on.write_text("")

    assert first.wait() == 0
    assert quick.observe() == one.digest == shop.current()


def test_a_frozen_process_whose_lease_was_taken_over_changes_nothing(
    shop: Shop, make_host: MakeHost, into: RollOut, tmp_path: Path, home: Path
) -> None:
    reached, go_on = pipe(tmp_path / "reached"), pipe(tmp_path / "go-on")
    hooks = Hooks(before=[f"echo > {reached}", f"cat {go_on}"])
    host = make_host()
    one, two, three = (shop.release(name) for name in ("one", "two", "three"))
    into(host, one)
    frozen = Child(lambda: lose_lease(shop, make_host(hooks=hooks), two))
    reached.read_text()
    stop_between_writes(frozen, home / "ledger.db")

    when_the_lease_has_expired(lambda: into(host, three))
    frozen.go_on()
    go_on.write_text("")

    assert frozen.wait() == 0
    assert ask(host) == "three"
    assert host.observe() == three.digest == shop.current()


def stop_between_writes(child: Child, ledger: Path) -> None:
    """Freeze a process while it is in no transaction, which would lock everybody out."""
    with closing(sqlite3.connect(ledger, timeout=60, isolation_level=None)) as ours:
        ours.execute("BEGIN IMMEDIATE")
        child.stop()
        ours.execute("ROLLBACK")


def test_a_verb_with_an_older_token_changes_nothing(
    shop: Shop, make_host: MakeHost
) -> None:
    host, one, two = make_host(), shop.release("one"), shop.release("two")
    host.prepare(one, 7)
    host.shift(one, 100, 7)
    host.commit(one, 7)

    for verb in (host.prepare, host.commit, host.discard):
        with pytest.raises(LeaseLost, match="lease 6 is older"):
            verb(two, 6)
    with pytest.raises(LeaseLost, match="lease 6 is older"):
        host.shift(two, 100, 6)

    assert host.observe() == one.digest
    assert not host.folder_of(two).exists()


def test_a_process_frozen_in_the_middle_of_a_change_is_ended(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host()
    into(host, shop.release("one"))
    frozen = Child(lambda: freeze_inside(Fence(host.root)))
    frozen.wait_until_frozen()

    host.prepare(shop.release("two"), 6)

    assert frozen.wait() == -signal.SIGKILL


def test_a_process_frozen_before_it_has_written_its_name_is_ended(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host()
    into(host, shop.release("one"))
    frozen = Child(lambda: freeze_locked(host.root / ".fence"))
    frozen.wait_until_frozen()

    host.prepare(shop.release("two"), 6)

    assert frozen.wait() == -signal.SIGKILL


def freeze_locked(fence: Path) -> None:
    """Be stopped at once when the file is locked, before anything is in it."""
    with fence.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.kill(os.getpid(), signal.SIGSTOP)


def test_every_verb_may_be_repeated(shop: Shop, host: HostEnvironment) -> None:
    one, two = shop.release("one"), shop.release("two")

    for release in (one, two):
        for _ in range(2):
            host.prepare(release, 1)
        for _ in range(2):
            host.shift(release, 100, 1)
        for _ in range(2):
            host.commit(release, 1)
    for _ in range(2):
        host.discard(one, 1)

    assert ask(host) == "two"
    assert host.observe() == two.digest


def test_what_a_living_process_is_at_is_not_recovered(
    shop: Shop, make_host: MakeHost, tmp_path: Path
) -> None:
    reached, go_on = pipe(tmp_path / "reached"), pipe(tmp_path / "go-on")
    hooks = Hooks(before=[f"echo > {reached}", f"cat {go_on}"])
    host = make_host(hooks=hooks, service=None)
    owner = Child(lambda: roll_out_anew(shop, host, shop.release("one")))
    reached.read_text()

    with pytest.raises(Refused, match="is being changed by"):
        recover(shop.ledger, host, shop.environment, quiet)
    go_on.write_text("")

    assert owner.wait() == 0


def pipe(path: Path) -> Path:
    """A named pipe: whoever opens one end waits for the other."""
    os.mkfifo(path)
    return path


def roll_out_anew(
    shop: Shop, host: HostEnvironment, release: Release, ttl: float = 60
) -> None:
    """As another process does it, with a connection of its own to the ledger."""
    roll_out(
        Ledger.open(),
        host,
        shop.environment,
        release,
        execution_id="",
        log=quiet,
        ttl=ttl,
    )


def lose_lease(shop: Shop, host: HostEnvironment, release: Release) -> None:
    with pytest.raises(LeaseLost):
        roll_out_anew(shop, host, release, ttl=0.5)


def when_the_lease_has_expired(action: Callable[[], object]) -> None:
    while True:
        try:
            action()
        except Refused:
            time.sleep(0.05)
        else:
            return


def freeze_inside(fence: Fence) -> None:
    with fence.held(5):
        os.kill(os.getpid(), signal.SIGSTOP)
