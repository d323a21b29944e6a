"""What becomes of a rollout whose owner has died, as a pure function."""

from typing import Literal

from prefect_delivery.ledger import Rollout
from prefect_delivery.rollout.journal import AGAIN, UNDO

Recovery = Literal["finish", "resume", "undo"]


def decide_recovery(rollout: Rollout, observed: str | None) -> Recovery:
    """How an unfinished rollout ends: on its release, or on the previous one.

    Args:
        observed: Digest of the release that fully serves; None when none does.

    Returns:
        `undo` once an undo has begun, so that it never turns round by itself; `finish`
        when the commit has reached the target; `resume` for a rollback, since the
        release it leaves is the one that somebody wanted to be rid of; otherwise `undo`.
    """
    verbs = [step.verb for step in rollout.steps]
    if AGAIN in verbs:
        # What came before a person has repaired it says nothing of what they want.
        verbs = verbs[len(verbs) - verbs[::-1].index(AGAIN) :]
    if any(verb.startswith(UNDO) for verb in verbs):
        return "undo"
    if "commit" in verbs and observed == rollout.release:
        return "finish"
    return "resume" if rollout.kind == "rollback" else "undo"
