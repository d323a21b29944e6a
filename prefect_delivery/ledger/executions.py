"""Executions: starting, finding, and the ids of work that goes on elsewhere.

What their owner reports is in `progress`, who the owner is in `claims`, what people
decide in `interventions` and `overrides`.
"""

import builtins
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, func, insert, select

from prefect_delivery.definition.events import places_of
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Carried, Execution, Status
from prefect_delivery.errors import Refused
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger import loading
from prefect_delivery.ledger.claims import Claims
from prefect_delivery.ledger.database import Transaction, writes
from prefect_delivery.ledger.gates import Gates
from prefect_delivery.ledger.interventions import Interventions
from prefect_delivery.ledger.outbox import open_places
from prefect_delivery.ledger.overrides import Overrides
from prefect_delivery.ledger.progress import Progress
from prefect_delivery.ledger.tables import executions, external_ids, pipelines


class Executions(Claims, Gates, Progress, Interventions, Overrides):
    """Every execution of every pipeline."""

    @writes
    def start(
        self,
        tx: Transaction,
        definition: Pipeline,
        *,
        variables: dict[str, str],
        revisions: dict[str, str] = {},
        trigger: str = "manual",
        started_by: str,
        only: tuple[str, ...] | None = None,
        carried: Carried | None = None,
        key: str | None = None,
        flow_run: str | None = None,
        untrusted: bool = False,
        fresh: bool = False,
    ) -> Execution:
        """Note a new execution, with the pipeline's next number.

        Args:
            definition: Becomes the snapshot that the execution runs on.
            only: Stages that the execution is limited to.
            carried: What it brings along from the execution it goes back to.
            key: Idempotency key: the same key gives the same execution.
            flow_run: Id of the deployed Prefect flow run that is to carry it out.
            untrusted: Whether it runs what a pull request brings.
            fresh: Whether actions run whose outcome is cached.
        """
        return begin(
            tx,
            definition,
            variables=variables,
            revisions=revisions,
            trigger=trigger,
            started_by=started_by,
            only=only,
            carried=carried,
            key=key,
            flow_run=flow_run,
            untrusted=untrusted,
            fresh=fresh,
        )

    def get(self, execution_id: str) -> Execution:
        """The execution as it is now.

        Raises:
            Refused: There is none of that id.
        """
        with self._database.read() as connection:
            found = loading.load(connection, _with_id(execution_id))
        if not found:
            raise Refused(f"there is no execution {execution_id}", hint=_SEE)
        return found[0]

    def find(self, pipeline: str, number: int | None = None) -> Execution:
        """The execution of that number; the latest one by default.

        Raises:
            Refused: There is none.
        """
        query = loading.all_executions().where(executions.c.pipeline == pipeline)
        if number is not None:
            query = query.where(executions.c.number == number)
        query = query.order_by(executions.c.number.desc()).limit(1)
        with self._database.read() as connection:
            found = loading.load(connection, query)
        if not found:
            wanted = "execution" if number is None else f"execution #{number}"
            raise Refused(f"pipeline '{pipeline}' has no {wanted}", hint=_SEE)
        return found[0]

    def started_with(self, key: str) -> Execution | None:
        """The execution that was started with that key, of whatever pipeline."""
        query = loading.all_executions().where(executions.c.start_key == key)
        with self._database.read() as connection:
            found = loading.load(connection, query)
        return found[0] if found else None

    def pipelines(self) -> builtins.list[str]:
        """Names of the pipelines that were ever started, in alphabetical order."""
        query = select(pipelines.c.name).distinct().order_by(pipelines.c.name)
        with self._database.read() as connection:
            return [*connection.scalars(query)]

    def external_id(self, key: str) -> str | None:
        """The id that outside work was started under, by its idempotency key."""
        query = select(external_ids.c.external_id).where(external_ids.c.key == key)
        with self._database.read() as connection:
            found: str | None = connection.execute(query).scalar()
            return found

    @writes
    def note_external_id(self, tx: Transaction, key: str, external_id: str) -> None:
        """Note the id of work started elsewhere.

        Raises:
            Refused: Another id is noted under that key.
        """
        query = select(external_ids.c.external_id).where(external_ids.c.key == key)
        known = tx.execute(query).scalar()
        if known == external_id:
            return
        if known is not None:
            raise Refused(f"'{key}' already stands for {known}, not {external_id}")
        tx.execute(
            insert(external_ids).values(key=key, external_id=external_id, noted=tx.now)
        )
        tx.audit(this_holder(), "note external id", key, external_id=external_id)

    def list(
        self,
        pipeline: str | None = None,
        *,
        limit: int = 20,
        open_only: bool = False,
        statuses: Collection[Status] = (),
        since: datetime | None = None,
    ) -> builtins.list[Execution]:
        """Executions, the newest first.

        Args:
            statuses: Only those that stand so; none means any.
            since: Only those that started then or later.
        """
        query = loading.all_executions()
        if pipeline is not None:
            query = query.where(executions.c.pipeline == pipeline)
        if open_only:
            query = query.where(executions.c.ended.is_(None))
        if statuses:
            query = query.where(executions.c.status.in_(statuses))
        if since is not None:
            query = query.where(executions.c.started >= since)
        newest = (executions.c.started.desc(), executions.c.number.desc())
        with self._database.read() as connection:
            return loading.load(connection, query.order_by(*newest).limit(limit))


_SEE = "see: deliver history"


def begin(
    tx: Transaction,
    definition: Pipeline,
    *,
    variables: dict[str, str],
    revisions: dict[str, str],
    trigger: str,
    started_by: str,
    only: tuple[str, ...] | None = None,
    carried: Carried | None = None,
    key: str | None = None,
    flow_run: str | None = None,
    untrusted: bool = False,
    fresh: bool = False,
) -> Execution:
    """`Executions.start` as a part of a larger transaction."""
    name = definition.pipeline
    known = loading.all_executions().where(
        executions.c.pipeline == name, executions.c.start_key == key
    )
    if key is not None and (found := loading.load(tx.connection, known)):
        return found[0]
    keep_definition(tx, definition)
    last = select(func.max(executions.c.number)).where(executions.c.pipeline == name)
    values: dict[str, Any] = {
        "id": uuid4().hex,
        "pipeline": name,
        "number": (tx.execute(last).scalar() or 0) + 1,
        "definition_digest": definition.digest,
        "status": Status.IN_PROGRESS,
        "started": tx.now,
        "variables": variables,
        "revisions": revisions,
        "trigger": trigger,
        "started_by": started_by,
        "only": None if only is None else [*only],
        "carried": carried and asdict(carried),
        "start_key": key,
        "flow_run": flow_run,
        "deployed": flow_run is not None,
        "untrusted": untrusted,
        "fresh": fresh,
        "attempt": 0,
    }
    tx.execute(insert(executions).values(values))
    open_places(tx, places_of(definition))
    tx.audit(
        started_by,
        "start execution",
        f"{name} #{values['number']}",
        execution=values["id"],
        definition=definition.digest,
        variables=variables,
        revisions=revisions,
        trigger=trigger,
        only=values["only"],
        carried=carried and carried.execution,
        **_promotion(carried),
    )
    return loading.load(tx.connection, _with_id(values["id"]))[0]


def _promotion(carried: Carried | None) -> dict[str, object]:
    """What the audit log says of a promotion besides."""
    if carried is None or carried.purpose != "promotion":
        return {}
    return {"promoted_from": carried.environment, "older": carried.older}


def _with_id(execution_id: str) -> Select[Any]:
    return loading.all_executions().where(executions.c.id == execution_id)


def keep_definition(tx: Transaction, definition: Pipeline) -> None:
    """Keep a definition under its digest, as a snapshot that others point to."""
    key = {"name": definition.pipeline, "digest": definition.digest}
    known = select(pipelines.c.name).filter_by(**key)
    if tx.execute(known).first() is None:
        # Pydantic's text keeps the order of stages, which a JSON column need not.
        snapshot = definition.model_dump_json(by_alias=True, exclude_defaults=True)
        tx.execute(
            insert(pipelines).values(**key, snapshot=snapshot, first_seen=tx.now)
        )
