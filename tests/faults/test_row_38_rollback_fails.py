"""Row 38: a rollback fails: a hook fails, the old artifact is gone, the target refuses.

It ends as `rollback-failed`. The environment is locked and says why, the traffic stays
with what served, nothing tries again by itself, and one command each retries it, goes to
a named release, or unlocks.

pytest tests/faults/test_row_38_rollback_fails.py -k "seed17-"
"""

import random
from pathlib import Path
from typing import Any

import pytest
from auditor import audit
from host_shop import Shop, ask, quiet
from scenarios import served
from seeds import seeded

from prefect_delivery.blocks import Hooks, HostEnvironment, HttpCheck
from prefect_delivery.errors import Refused, RolloutFailed
from prefect_delivery.ledger import Release, Repair
from prefect_delivery.rollout import repair, replace, roll_out
from prefect_delivery.rollout import run as rollout_run

ANN = Repair("ann", "looked at it")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_run, "UNDO_PAUSE", 0.0)


@pytest.fixture
def two(shop: Shop) -> Release:
    """The release that serves, after another one called `one`."""
    for version in ("one", "two"):
        go(shop, shop.host(), shop.release(version))
    return shop.release("two")


def go(shop: Shop, host: HostEnvironment, release: Release, **more: Any) -> None:
    arguments = {"execution_id": "", "log": quiet, **more}
    roll_out(shop.ledger, host, shop.environment, release, **arguments)


def fail_to_go_back(
    shop: Shop, host: HostEnvironment, match: str, one: Release | None = None
) -> None:
    one = one or shop.release("one")
    with pytest.raises(RolloutFailed, match=match) as failure:
        go(shop, host, one, kind="rollback")
    assert failure.value.hint == "deliver env repair production --back -m REASON"
    last = shop.ledger.rollouts.history(shop.environment, 1)[0]
    assert (last.kind, last.status) == ("rollback", "rollback-failed")
    verbs = [entry.verb for entry in shop.ledger.audit.entries()]
    assert "lock environment" in verbs


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_hook_fails_and_the_rollback_is_retried_when_it_is_mended(
    shop: Shop, two: Release, tmp_path: Path, when: str
) -> None:
    mended = tmp_path / "mended"
    host = shop.host(hooks=Hooks.model_validate({when: [f"test -e {mended}"]}))

    fail_to_go_back(shop, host, "test -e")

    assert served(host) == {"two"}
    assert two.digest == host.observe() == shop.current()
    with pytest.raises(Refused, match=r"locked: the rollback to .* failed: hook"):
        go(shop, shop.host(), shop.release("three"))
    with pytest.raises(RolloutFailed, match="test -e"):
        repair(shop.ledger, host, shop.environment, "back", ANN, quiet)
    mended.touch()
    assert (
        repair(shop.ledger, host, shop.environment, "back", ANN, quiet).status
        == "committed"
    )
    assert ask(host) == "one"
    assert [q.release for q in shop.ledger.quarantine.list()] == [two.digest]
    audit(shop.ledger, {shop.environment: host})


def test_the_old_artifact_is_gone_and_somebody_goes_forward(
    shop: Shop, two: Release, home: Path
) -> None:
    host, one = shop.host(), shop.release("one")
    host.discard(one, fence=2)
    for pack in (home / "artifacts" / "packs").iterdir():
        pack.unlink()

    # Making the release anew would put its artifact into the store again.
    fail_to_go_back(shop, host, "artifact|pack", one)
    replace(shop.ledger, host, shop.environment, two.digest, ANN, quiet)

    assert served(host) == {"two"}
    assert two.digest == host.observe() == shop.current()
    assert shop.ledger.environments.get(shop.environment).locked is None
    with pytest.raises(Refused, match="is not locked"):
        replace(shop.ledger, host, shop.environment, two.digest, ANN, quiet)


def test_only_what_was_let_in_before_is_gone_forward_to(
    shop: Shop, two: Release
) -> None:
    host = shop.host(hooks=Hooks(before=["false"]))
    fail_to_go_back(shop, host, "false")

    with pytest.raises(Refused, match="has never let release"):
        replace(
            shop.ledger,
            host,
            shop.environment,
            shop.release("three").digest,
            ANN,
            quiet,
        )
    shop.ledger.environments.unlock(shop.environment, by="ann", reason="by hand")
    go(shop, shop.host(), shop.release("three"))

    assert ask(host) == "three"


@seeded()
def test_a_target_that_refuses_a_few_times(
    shop: Shop, tmp_path: Path, seed: str
) -> None:
    """The way back is tried three times, then left to a person."""
    refusals = random.Random(seed).randint(1, 5)
    counter = tmp_path / "counter"
    hook = f"echo x >> {counter}; test $(wc -l < {counter}) -gt {refusals}"
    never = HttpCheck(url="/", contains="never", attempts=1)
    host = shop.host(
        hooks=Hooks(on_rollback=[hook]), checks=[never], strategy="all-at-once"
    )
    go(shop, shop.host(), shop.release("one"))

    with pytest.raises(RolloutFailed, match="never"):
        go(shop, host, shop.release("two"))

    last = shop.ledger.rollouts.history(shop.environment, 1)[0]
    enough = refusals < 3
    assert last.status == ("rolled-back" if enough else "rollback-failed")
    assert len(counter.read_text().split()) == min(3, refusals + 1)
    assert served(host) == {"one"}
    while shop.ledger.environments.get(shop.environment).locked:
        repair_once(shop, host)
    assert served(host) == {"one"}
    audit(shop.ledger, {shop.environment: host})


def repair_once(shop: Shop, host: HostEnvironment) -> None:
    try:
        repair(shop.ledger, host, shop.environment, "back", ANN, quiet)
    except RolloutFailed as failure:
        assert "going back failed as well" in str(failure)
