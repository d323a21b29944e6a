"""Stop what runs in an environment, until something is rolled out again."""

from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.rollout.lease import TTL, leased
from prefect_delivery.rollout.target import Target


def shut_down(
    ledger: Ledger,
    target: Target,
    environment: str,
    *,
    by: str,
    reason: str,
    ttl: float = TTL,
) -> None:
    """Stop all that runs in an environment; its releases stay. Safe to repeat.

    Raises:
        Refused: Somebody is changing the environment, a rollout into it has not ended,
            or nothing runs there that can be stopped.
    """
    if not target.can_shut_down:
        raise Refused(f"nothing runs in '{environment}' that can be stopped from here")
    with leased(ledger, environment, ttl) as lease:
        if ledger.rollouts.unfinished(environment):
            raise Refused(
                f"environment '{environment}' has an unfinished rollout",
                hint="deliver reconcile",
            )
        ledger.environments.note_stopped(lease, by=by, reason=reason)
        target.shut_down(lease.token)
