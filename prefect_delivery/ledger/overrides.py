"""Conditions that a person has said need not be met."""

from sqlalchemy import select, update

from prefect_delivery.engine.conditions import When
from prefect_delivery.errors import Refused
from prefect_delivery.ledger.claims import row_of, title
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.tables import stage_runs


class Overrides(Room):
    """What people override."""

    @writes
    def override(
        self,
        tx: Transaction,
        execution_id: str,
        stage: str,
        when: When,
        *,
        by: str,
        reason: str,
    ) -> None:
        """Let a condition of a stage count as met, in this execution for good.

        Raises:
            Refused: The stage was not entered, or somebody has overridden it already.
        """
        row = row_of(tx, execution_id)
        keys = {"execution_id": execution_id, "stage": stage}
        known = tx.execute(select(stage_runs).filter_by(**keys)).first()
        subject = f"{title(row)} / {stage}"
        if known is None:
            raise Refused(f"stage '{stage}' of {title(row)} was not entered")
        if when in known.overridden:
            raise Refused(
                f"{when} of {subject} is overridden by {known.overridden[when]}"
            )
        overridden = {**known.overridden, when: f"{by}: {reason}"}
        tx.execute(update(stage_runs).filter_by(**keys).values(overridden=overridden))
        tx.audit(by, "override condition", subject, condition=when, reason=reason)
