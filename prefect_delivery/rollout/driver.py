"""Bring a release into an environment, or leave the environment as it was.

Each step is journaled before and after it is done, and each changes the target only
under the lease's fencing token. So whoever finds an unfinished rollout can end it, and a
process that lost its lease can change nothing more.
"""

import threading
from collections.abc import Callable

from prefect_delivery.errors import RolloutFailed
from prefect_delivery.holder import is_dead
from prefect_delivery.ledger import (
    Lease,
    Ledger,
    Release,
    Repair,
    Rollout,
    RolloutKind,
)
from prefect_delivery.precedence import refuse_older
from prefect_delivery.rollout.journal import Journal
from prefect_delivery.rollout.lease import TTL, leased
from prefect_delivery.rollout.recovery import decide_recovery
from prefect_delivery.rollout.run import Run, title
from prefect_delivery.rollout.target import Target

Log = Callable[[str], None]


def roll_out(
    ledger: Ledger,
    target: Target,
    environment: str,
    release: Release,
    *,
    execution_id: str,
    log: Log,
    kind: RolloutKind = "forward",
    cancelled: threading.Event | None = None,
    hold: threading.Event | None = None,
    repair: Repair | None = None,
    ttl: float = TTL,
) -> Rollout:
    """Make `release` what the environment runs.

    A rollout that a dead process left unfinished is ended first. A release that already
    serves is only recorded.

    Args:
        execution_id: The execution it is done for; empty outside of pipelines.
        log: Takes a line for each step.
        kind: `rollback` goes straight to the release: no canary, no bake.
        cancelled: Set by somebody else, it makes the rollout fail and be undone; a
            rollback is finished instead.
        hold: Set by somebody else, it makes the rollout fail and stay where it is once
            its step has ended; the environment is locked then.
        repair: Who lets a locked environment change by it, and why.
        ttl: Seconds until a lease that is not renewed may be taken over.

    Raises:
        Refused: Somebody else changes the environment, it is locked, it keeps the
            release in quarantine, or it runs a newer execution of the pipeline.
        RolloutFailed: A step failed; the previous release serves again, or the
            environment is locked because that failed as well.
        LeaseLost: Somebody else took the environment over; they end the rollout.
    """
    ledger.environments.register(environment, target.kind, target.configuration())
    with leased(ledger, environment, ttl) as lease:
        _end_unfinished(ledger, lease, target, environment, log)
        previous = ledger.releases.current(environment)
        if execution_id and kind == "forward" and repair is None:
            refuse_older(ledger, environment, ledger.executions.get(execution_id))
        rollout = ledger.rollouts.open(
            lease,
            environment=environment,
            release=release.digest,
            previous=previous.digest if previous else None,
            execution_id=execution_id,
            kind=kind,
            repair=repair,
        )
        run = Run(
            target=target,
            environment=environment,
            release=release,
            previous=previous,
            journal=Journal(ledger, lease, rollout),
            fence=lease.token,
            log=log,
            cancelled=cancelled or threading.Event(),
            hold=hold or threading.Event(),
        )
        # What a repair finds may serve, and yet have half a release beside it.
        if repair is None and _serves_already(run):
            log(f"{title(release)} serves already")
            return run.journal.close("committed", "it served already")
        return run.perform()


def recover(
    ledger: Ledger, target: Target, environment: str, log: Log, *, ttl: float = TTL
) -> str | None:
    """End what a dead process left unfinished in the environment.

    Returns:
        What was done, in one line; None when there was nothing to do.

    Raises:
        Refused: Somebody who lives is at it.
        RolloutFailed: The environment could be brought to neither release.
    """
    if not ledger.rollouts.unfinished(environment) and not _is_orphaned(
        ledger, environment
    ):
        return None
    with leased(ledger, environment, ttl) as lease:
        return _end_unfinished(ledger, lease, target, environment, log)


def _is_orphaned(ledger: Ledger, environment: str) -> bool:
    """Whether the environment's lease was left by a dead process."""
    return any(
        lease.name == environment and is_dead(lease.holder)
        for lease in ledger.leases.held()
    )


def _serves_already(run: Run) -> bool:
    current = run.previous.digest if run.previous else None
    return current == run.release.digest == run.target.observe()


def _end_unfinished(
    ledger: Ledger, lease: Lease, target: Target, environment: str, log: Log
) -> str | None:
    done = None
    for rollout in ledger.rollouts.unfinished(environment):
        previous = ledger.releases.get(rollout.previous) if rollout.previous else None
        run = Run(
            target=target,
            environment=environment,
            release=ledger.releases.get(rollout.release),
            previous=previous,
            journal=Journal(ledger, lease, rollout),
            fence=lease.token,
            log=log,
        )
        done = _end(run)
        log(done)
    return done


def _end(run: Run) -> str:
    rollout = run.journal.rollout
    decision = decide_recovery(rollout, run.target.observe())
    if decision == "undo":
        undone = run.undo("its owner died")
        if undone.status == "rollback-failed":
            return undone.reason or "the rollback failed"
        return f"undid {title(run.release)}; {title(run.previous)} serves"
    try:
        run.finish() if decision == "finish" else run.perform()
    except RolloutFailed as failure:
        if run.journal.status() in {"rollback-failed", "held"}:
            raise
        return failure.message
    return f"finished the {rollout.kind} to {title(run.release)}"
