"""What a person does with an environment that was locked half-way: back, on, or away."""

from typing import Literal

from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger, Repair, Rollout
from prefect_delivery.rollout.driver import Log, roll_out
from prefect_delivery.rollout.journal import AGAIN, UNDO, Journal
from prefect_delivery.rollout.lease import TTL, leased
from prefect_delivery.rollout.run import Run, title
from prefect_delivery.rollout.target import Target

Way = Literal["back", "on"]


def repair(
    ledger: Ledger,
    target: Target,
    environment: str,
    way: Way,
    who: Repair,
    log: Log,
    *,
    ttl: float = TTL,
) -> Rollout:
    """Go on with the rollout that has locked an environment.

    Args:
        way: `back` leads to the release that a rollback was to bring, or that served
            before; `on` begins the strategy of a held rollout again.

    Raises:
        Refused: There is nothing to repair, or somebody else is at it.
        RolloutFailed: It failed again; the environment is locked as before, or runs
            the release before.
    """
    rollout = _locking(ledger, environment)
    forward = rollout.kind == "rollback" or way == "on"
    if way == "on" and rollout.status != "held":
        raise Refused(
            f"the rollout to {title(ledger.releases.get(rollout.release))} has failed;"
            " only one that is held can go on",
            hint=f"deliver env repair {environment} --to RELEASE -m REASON",
        )
    with leased(ledger, environment, ttl) as lease:
        ledger.rollouts.reopen(lease, rollout.id, who)
        again = ledger.rollouts.get(rollout.id)
        run = Run(
            target=target,
            environment=environment,
            release=ledger.releases.get(again.release),
            previous=ledger.releases.get(again.previous) if again.previous else None,
            journal=Journal(ledger, lease, again),
            fence=lease.token,
            log=log,
        )
        verb = AGAIN if forward else UNDO + AGAIN
        with run.journal.step(verb, {"by": who.by, "reason": who.reason}):
            log(f"{who.by} goes {way}: {who.reason}")
        return run.perform() if forward else run.undo(f"{who.by}: {who.reason}")


def replace(
    ledger: Ledger,
    target: Target,
    environment: str,
    release: str,
    who: Repair,
    log: Log,
    *,
    ttl: float = TTL,
) -> Rollout:
    """Bring a locked environment to a release that was let into it before.

    Args:
        release: Its digest.

    Raises:
        Refused: It was never let in, or it is in quarantine, or nothing is locked.
        RolloutFailed: It failed; see `roll_out`.
    """
    locking = _locking(ledger, environment)
    past = ledger.rollouts.history(environment, limit=1000)
    if release not in {rollout.release for rollout in past}:
        raise Refused(
            f"{environment} has never let release {release[:12]} in",
            hint=f"deliver env unlock {environment} -m REASON, then deploy it",
        )
    found = ledger.releases.get(release)
    goes_on = locking.kind == "forward" and locking.release == release
    return roll_out(
        ledger,
        target,
        environment,
        found,
        execution_id=found.execution_id,
        log=log,
        kind="forward" if goes_on else "rollback",
        repair=who,
        ttl=ttl,
    )


def _locking(ledger: Ledger, environment: str) -> Rollout:
    """The rollout that has locked an environment."""
    state = ledger.environments.get(environment)
    last = ledger.rollouts.history(environment, limit=1)
    if state.locked is None or not last:
        raise Refused(f"environment '{environment}' is not locked")
    return last[0]
