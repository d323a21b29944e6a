"""What `reconcile` removes, and what it must not remove."""

import os
import signal
from pathlib import Path

import pytest
from processes import Child
from repository import Shop

from prefect_delivery.actions import Job
from prefect_delivery.artifacts import Artifact, ArtifactStore
from prefect_delivery.flows.reconcile import set_right
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings


def _artifact_of(shop: Shop, commit: str | None = None) -> str:
    revisions = {"app": commit} if commit else {}
    ended = shop.drive(shop.start(revisions=revisions), local=True)
    return ended.stages["Build"].actions["package"][-1].artifacts["site"].digest


def test_old_artifacts_go_but_never_those_of_the_latest_execution(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.git("rev-parse", "HEAD")
    old = _artifact_of(shop, first)
    shop.git("commit", "--allow-empty", "-qm", "second")
    latest = _artifact_of(shop)
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "file").touch()
    loose = Artifact.of(tmp_path / "loose").digest

    monkeypatch.setenv("PREFECT_DELIVERY_KEEP_ARTIFACTS_DAYS", "0")
    said: list[str] = []
    set_right(shop.ledger, said.append)

    store = ArtifactStore(settings().artifacts)
    assert [store.has(digest) for digest in (old, loose, latest)] == [
        False,
        False,
        True,
    ]
    assert any("removed old artifacts" in line for line in said)


def test_young_artifacts_stay(shop: Shop) -> None:
    shop.define()
    old = _artifact_of(shop, shop.git("rev-parse", "HEAD"))
    _artifact_of(shop)

    set_right(shop.ledger, print)

    assert ArtifactStore(settings().artifacts).has(old)


def test_a_workspace_in_use_stays(shop: Shop) -> None:
    with Job(workspaces=settings().workspaces).workspace() as folder:
        set_right(shop.ledger, print)

        assert folder.exists()


def test_a_workspace_of_a_process_that_is_gone_is_removed(shop: Shop) -> None:
    left = settings().workspaces / "left"
    left.mkdir(parents=True)
    child = os.fork()
    if not child:
        (left / "holder").write_text(this_holder())
        os._exit(0)
    os.waitpid(child, 0)

    set_right(shop.ledger, print)

    assert not left.exists()


def test_a_lease_whose_holder_died_before_its_rollout_began_is_given_back(
    home: Path,
) -> None:
    ledger = Ledger.open()
    living = ledger.leases.take("alive", holder=this_holder(), ttl=60)

    def take_and_die() -> None:
        Ledger.open().leases.take("site", holder=this_holder(), ttl=60)
        os.kill(os.getpid(), signal.SIGKILL)

    assert Child(take_and_die).wait() == -signal.SIGKILL
    assert len(ledger.leases.held()) == 2

    set_right(ledger, print)

    assert [each.name for each in ledger.leases.held()] == [living.name]
