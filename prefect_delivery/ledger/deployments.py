"""Pipelines that start by themselves, and what Prefect was told of them."""

import builtins
from typing import Any

from sqlalchemy import Row, delete, insert, select

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.executions import keep_definition
from prefect_delivery.ledger.loading import definition_of
from prefect_delivery.ledger.records import Deployed
from prefect_delivery.ledger.tables import deployed, pipelines


class Deployments(Room):
    """Every pipeline that is deployed; one that is not starts only by a person."""

    @writes
    def note(
        self,
        tx: Transaction,
        definition: Pipeline,
        *,
        deployment: str,
        origin: str,
        file: str,
        settings: dict[str, Any],
        by: str,
    ) -> None:
        """Note that a definition is deployed, in the place of an earlier one."""
        keep_definition(tx, definition)
        name = definition.pipeline
        tx.execute(delete(deployed).filter_by(pipeline=name))
        tx.execute(
            insert(deployed).values(
                pipeline=name,
                definition_digest=definition.digest,
                deployment=deployment,
                origin=origin,
                file=file,
                settings=settings,
                deployed_by=by,
                since=tx.now,
            )
        )
        tx.audit(
            by,
            "deploy pipeline",
            name,
            definition=definition.digest,
            origin=origin,
            file=file,
        )

    @writes
    def remove(self, tx: Transaction, pipeline: str, *, by: str) -> None:
        """Note that a pipeline is deployed no more; its history stays."""
        if tx.execute(delete(deployed).filter_by(pipeline=pipeline)).rowcount:
            tx.audit(by, "remove deployment", pipeline)

    def find(self, pipeline: str) -> Deployed | None:
        """How a pipeline is deployed; None when it is not."""
        return next((each for each in self.list() if _name(each) == pipeline), None)

    def list(self) -> builtins.list[Deployed]:
        """All that are deployed, by name."""
        query = (
            select(deployed, pipelines.c.snapshot)
            .join_from(deployed, pipelines)
            .order_by(deployed.c.pipeline)
        )
        with self._database.read() as connection:
            return [_deployed(row) for row in connection.execute(query)]


def _name(found: Deployed) -> str:
    return found.definition.pipeline


def _deployed(row: Row[Any]) -> Deployed:
    return Deployed(
        definition=definition_of(row.snapshot),
        deployment=row.deployment,
        origin=row.origin,
        file=row.file,
        settings=row.settings,
        by=row.deployed_by,
        since=row.since,
    )
