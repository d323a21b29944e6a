"""Set right what dead processes left: rollouts, executions, workspaces, containers."""

import shutil
from collections.abc import Callable
from pathlib import Path

from prefect import flow

from prefect_delivery.actions import run_logger
from prefect_delivery.artifacts import open_store
from prefect_delivery.blocks.environment import find_environment
from prefect_delivery.containers import remove_orphans
from prefect_delivery.errors import ActionFailed, DeliveryError
from prefect_delivery.flows.close import close_dead
from prefect_delivery.flows.lost_runs import set_lost_runs_right
from prefect_delivery.flows.waking import wake
from prefect_delivery.holder import is_dead
from prefect_delivery.inbox import process
from prefect_delivery.ledger import Ledger
from prefect_delivery.outbox import tell_all
from prefect_delivery.rollout.driver import recover
from prefect_delivery.settings import settings

Say = Callable[[str], None]


@flow(name="reconcile", persist_result=False)
def reconcile() -> list[str]:
    """Set right what dead processes left, and carry on what waits and can go on.

    Returns:
        What was done, a line each.
    """
    done: list[str] = []
    ledger = Ledger.open()
    set_right(ledger, done.append)
    wake(ledger, done.append)
    set_lost_runs_right(ledger, done.append)
    for line in done:
        run_logger().info("%s", line)
    return done


def set_right(ledger: Ledger, say: Say) -> None:
    """Finish or undo rollouts, close executions, remove what has lost its owner.

    Webhooks that were accepted and not carried out yet are carried out, and whoever was
    not told of something is told.
    """
    _finish_rollouts(ledger, say)
    _give_leases_back(ledger, say)
    close_dead(ledger, say)
    _remove_workspaces(say)
    _remove_containers(say)
    _collect_artifacts(ledger, say)
    process(ledger, say)
    tell_all(ledger, say)


def _finish_rollouts(ledger: Ledger, say: Say) -> None:
    for rollout in ledger.rollouts.unfinished():
        name = rollout.environment
        try:
            # As it was when the rollout began: whoever edits it meanwhile, what was
            # begun is ended where it was begun.
            state = ledger.environments.get(name)
            known = {**state.configuration, "kind": state.kind}
            target = find_environment(name, {name: known})
            if done := recover(ledger, target, name, say):
                say(f"{name}: {done}")
        except DeliveryError as error:
            say(f"{name}: {error}")


def _give_leases_back(ledger: Ledger, say: Say) -> None:
    """Release what processes held that died before their rollout began."""
    for lease in ledger.leases.held():
        if is_dead(lease.holder):
            ledger.leases.release(lease)
            say(f"{lease.name}: a dead process held it")


def _remove_workspaces(say: Say) -> None:
    for folder in settings().workspaces.glob("*"):
        if _has_lost_its_owner(folder):
            shutil.rmtree(folder)
            say(f"removed workspace {folder.name}")


def _remove_containers(say: Say) -> None:
    if not Path("/var/run/docker.sock").exists():
        return
    try:
        removed = remove_orphans(lambda _: True)
    except ActionFailed as unreachable:
        say(f"containers were not looked at: {unreachable.message}")
        return
    for key in removed:
        say(f"removed the container of {key}")


def _collect_artifacts(ledger: Ledger, say: Say) -> None:
    """Remove artifacts that are old and that neither a rollback nor a retry needs."""
    chosen = settings()
    store = open_store()
    grace = chosen.keep_artifacts_days * 86_400
    if freed := store.collect(ledger.releases.pinned(), grace=grace):
        say(f"removed old artifacts: {freed / 1e6:.1f} MB")


def _has_lost_its_owner(folder: Path) -> bool:
    note = folder / "holder"
    return note.exists() and is_dead(note.read_text())
