"""Ways into stages that somebody has disabled."""

import builtins
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from prefect_delivery.errors import Refused
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.records import Transition
from prefect_delivery.ledger.tables import transitions


class Transitions(Room):
    """Ways into stages that somebody has disabled."""

    @writes
    def disable(
        self, tx: Transaction, pipeline: str, stage: str, *, by: str, reason: str
    ) -> None:
        """Let no execution into a stage until it is enabled again.

        Raises:
            Refused: It is disabled already; says by whom and why.
        """
        if known := disabled_way(tx, pipeline, stage):
            raise Refused(f"the way into {stage} of {pipeline} {why(known)}")
        tx.execute(
            insert(transitions).values(
                pipeline=pipeline,
                stage=stage,
                disabled_by=by,
                reason=reason,
                disabled=tx.now,
            )
        )
        tx.audit(by, "disable transition", f"{pipeline} / {stage}", reason=reason)

    @writes
    def enable(self, tx: Transaction, pipeline: str, stage: str, *, by: str) -> None:
        """Let executions in again; the newest that waits goes first.

        Raises:
            Refused: It is not disabled.
        """
        if not disabled_way(tx, pipeline, stage):
            raise Refused(f"the way into {stage} of {pipeline} is not disabled")
        tx.execute(delete(transitions).filter_by(pipeline=pipeline, stage=stage))
        tx.audit(by, "enable transition", f"{pipeline} / {stage}")

    def list(self, pipeline: str) -> builtins.list[Transition]:
        """The disabled transitions of a pipeline."""
        query = select(transitions).filter_by(pipeline=pipeline)
        with self._database.read() as connection:
            return [
                Transition(
                    pipeline=row.pipeline,
                    stage=row.stage,
                    by=row.disabled_by,
                    reason=row.reason,
                    disabled=row.disabled,
                )
                for row in connection.execute(query)
            ]


def disabled_way(
    connection: Connection | Transaction, pipeline: str, stage: str
) -> Row[Any] | None:
    """Who disabled the way into a stage, and why; None when it is open."""
    query = select(transitions).filter_by(pipeline=pipeline, stage=stage)
    return connection.execute(query).first()


def why(row: Row[Any]) -> str:
    """Who disabled a way and why, in words."""
    said = f": {row.reason}" if row.reason else ""
    return f"was disabled by {row.disabled_by}{said}"
