"""A rollout's durable steps: each is written down before it is done, and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from prefect_delivery.errors import ActionFailed, LeaseLost, LedgerError
from prefect_delivery.ledger import Lease, Ledger, Rollout, RolloutStatus

Closed = Literal["committed", "rolled-back", "rollback-failed", "held"]
UNDO = "undo-"
"""Prefix of the steps that lead back to the previous release."""
AGAIN = "again"
"""The step with which somebody lets a rollout go on that had been given up."""


class Stopped(ActionFailed):
    """Somebody has stopped the rollout: nothing is wrong with its release."""


class Held(Stopped):
    """Somebody wants the rollout to stay where it is."""


class Journal:
    """Writes the steps of one rollout.

    Attributes:
        rollout: The rollout as it was when this journal was opened.
    """

    def __init__(self, ledger: Ledger, lease: Lease, rollout: Rollout) -> None:
        self.rollout = rollout
        self._ledger = ledger
        self._lease = lease

    @contextmanager
    def step(self, verb: str, detail: dict[str, Any]) -> Iterator[None]:
        """Bracket one step by the note that it begins and the note how it ended.

        Raises:
            LeaseLost: Somebody else has the environment now.
        """
        rollouts = self._ledger.rollouts
        number = rollouts.intend(self._lease, self.rollout.id, verb, detail)
        try:
            yield
        except (LeaseLost, LedgerError):
            raise  # nothing may be, or can be, written
        except Stopped:
            rollouts.record(self._lease, self.rollout.id, number, "stopped")
            raise
        except BaseException as error:
            said = str(error) or type(error).__name__
            rollouts.record(self._lease, self.rollout.id, number, f"failed: {said}")
            raise
        rollouts.record(self._lease, self.rollout.id, number, "done")

    def has_done(self, verb: str) -> bool:
        """Whether an earlier owner has done `verb` to its end, and it was not undone."""
        done = False
        for step in self.rollout.steps:
            done = (done or (step.verb == verb and step.outcome == "done")) and (
                not step.verb.startswith(UNDO)
            )
        return done

    def status(self) -> RolloutStatus:
        """How the rollout stands in the ledger now."""
        return self._ledger.rollouts.get(self.rollout.id).status

    def close(self, status: Closed, reason: str | None = None) -> Rollout:
        """End the rollout; `committed` makes its release the environment's current."""
        self._ledger.rollouts.close(self._lease, self.rollout.id, status, reason=reason)
        return self._ledger.rollouts.get(self.rollout.id)
