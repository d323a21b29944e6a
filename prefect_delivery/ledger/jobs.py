"""Jobs of custom actions: offered to job workers, taken by one, ended once.

Source: CodePipeline API reference, PollForJobs, AcknowledgeJob, PutJobSuccessResult and
PutJobFailureResult; user guide, "Create and add a custom action".
"""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import token_hex
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.tables import jobs

GIVEN_AGAIN: Final = 60.0
"""Seconds after which a job that nobody has acknowledged is given to another worker."""


class JobStatus(StrEnum):
    """How a job stands, in CodePipeline's words."""

    QUEUED = "Queued"
    DISPATCHED = "Dispatched"
    IN_PROGRESS = "InProgress"
    TIMED_OUT = "TimedOut"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def ended(self) -> bool:
        return self in {self.TIMED_OUT, self.SUCCEEDED, self.FAILED}


@dataclass(frozen=True, kw_only=True)
class ActionType:
    """Whose workers carry a job out; CodePipeline's owner of all these is Custom."""

    category: str
    provider: str
    version: str


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """A job as it stands.

    Attributes:
        data: What a worker is told, without credentials.
        access: Where the credentials are that a worker is given for the artifacts.
        nonce: Of the last poll that gave it out.
        worker: Who has acknowledged it.
        result: What the worker has said last.
        silent: Seconds since a worker, or whoever offered it, was heard of.
    """

    id: str
    type: ActionType
    data: dict[str, Any]
    access: dict[str, Any]
    status: JobStatus
    nonce: str | None
    worker: str | None
    result: dict[str, Any] | None
    silent: float


class Jobs(Room):
    """Every job that goes on, or has ended of late."""

    @writes
    def offer(
        self,
        tx: Transaction,
        id: str,
        type: ActionType,
        *,
        data: Mapping[str, Any],
        access: Mapping[str, Any],
    ) -> None:
        """Offer a job, once."""
        if tx.execute(select(jobs.c.id).filter_by(id=id)).first():
            return
        tx.execute(
            insert(jobs).values(
                id=id,
                **_type(type),
                data=dict(data),
                access=dict(access),
                status=JobStatus.QUEUED,
                offered=tx.now,
                seen=tx.now,
            )
        )

    @writes
    def poll(
        self,
        tx: Transaction,
        type: ActionType,
        *,
        most: int,
        query: Mapping[str, str] = {},
    ) -> builtins.list[WorkerJob]:
        """Give out jobs of a type, the oldest first, each under a new nonce.

        Args:
            most: Jobs at once.
            query: Only jobs with these values in their configuration.
        """
        waiting = (
            select(jobs)
            .filter_by(**_type(type))
            .where(jobs.c.status.in_([JobStatus.QUEUED, JobStatus.DISPATCHED]))
            .order_by(jobs.c.offered, jobs.c.id)
        )
        given = []
        old = tx.now - timedelta(seconds=GIVEN_AGAIN)
        for row in tx.execute(waiting).all():
            configuration = row.data["actionConfiguration"]["configuration"]
            is_free = row.status == JobStatus.QUEUED or row.seen < old
            if not is_free or not query.items() <= configuration.items():
                continue
            values = {
                "status": JobStatus.DISPATCHED,
                "nonce": token_hex(16),
                "seen": tx.now,
            }
            tx.execute(update(jobs).filter_by(id=row.id).values(values))
            given.append(_read(row, tx.now, **values))
            if len(given) == most:
                break
        return given

    @writes
    def acknowledge(
        self, tx: Transaction, id: str, nonce: str, *, worker: str
    ) -> JobStatus | None:
        """Take a job; whoever takes it again under its nonce has it already.

        Returns:
            How it stands then; None when another poll has given it out since.
        """
        row = tx.execute(select(jobs).filter_by(id=id)).one()
        if row.nonce != nonce:
            return None
        if row.status != JobStatus.DISPATCHED:
            return JobStatus(row.status)
        values = {"status": JobStatus.IN_PROGRESS, "worker": worker, "seen": tx.now}
        tx.execute(update(jobs).filter_by(id=id).values(values))
        tx.audit(worker, "take job", _subject(row), job=id)
        return JobStatus.IN_PROGRESS

    @writes
    def hear(self, tx: Transaction, id: str) -> None:
        """Note that the worker of a job is alive."""
        tx.execute(update(jobs).filter_by(id=id).values(seen=tx.now))

    @writes
    def go_on(self, tx: Transaction, id: str, result: Mapping[str, Any]) -> bool:
        """Give a job that is not done back, with the token that it goes on by.

        Returns:
            False when no worker has it.
        """
        row = tx.execute(select(jobs).filter_by(id=id)).one()
        if row.status != JobStatus.IN_PROGRESS:
            # One who did not get the answer says it again.
            return bool(row.status == JobStatus.QUEUED and row.result == result)
        data = {**row.data, "continuationToken": result["continuationToken"]}
        values = {
            "status": JobStatus.QUEUED,
            "data": data,
            "result": dict(result),
            "seen": tx.now,
        }
        tx.execute(update(jobs).filter_by(id=id).values(values))
        return True

    @writes
    def end(
        self,
        tx: Transaction,
        id: str,
        status: JobStatus,
        *,
        result: Mapping[str, Any] | None = None,
        by: str,
        silent: float | None = None,
    ) -> bool:
        """End a job; one that has ended stays as it is.

        Args:
            result: What its worker says; only a job that a worker has can be ended by
                one.
            silent: Only if nobody was heard of for so many seconds.

        Returns:
            Whether it has ended so, now or before.
        """
        row = tx.execute(select(jobs).filter_by(id=id)).one()
        if JobStatus(row.status).ended or (
            result is not None and row.status != JobStatus.IN_PROGRESS
        ):
            return bool(row.status == status and row.result == result)
        if silent is not None and row.seen > tx.now - timedelta(seconds=silent):
            return False
        values: dict[str, Any] = {"status": status, "seen": tx.now}
        if result is not None:
            values["result"] = dict(result)
        tx.execute(update(jobs).filter_by(id=id).values(values))
        tx.audit(by, "end job", _subject(row), job=id, status=status)
        return True

    def find(self, id: str) -> WorkerJob | None:
        """A job by its id."""
        with self._database.read() as connection:
            row = connection.execute(select(jobs).filter_by(id=id)).one_or_none()
            return _read(row, self._database.time(connection)) if row else None

    @writes
    def forget(self, tx: Transaction, *, days: float) -> int:
        """Remove what was not heard of for longer; says how much that was."""
        old = jobs.c.seen < tx.now - timedelta(days=days)
        return tx.execute(delete(jobs).where(old)).rowcount


def _type(type: ActionType) -> dict[str, str]:
    return {
        "category": type.category,
        "provider": type.provider,
        "version": type.version,
    }


def _subject(row: Row[Any]) -> str:
    context = row.data["pipelineContext"]
    parts = context["pipelineName"], context["stage"]["name"], context["action"]["name"]
    return " / ".join(parts)


def _read(row: Row[Any], now: datetime, **changed: Any) -> WorkerJob:
    found = {**row._mapping, **changed}
    return WorkerJob(
        id=found["id"],
        type=ActionType(
            category=found["category"],
            provider=found["provider"],
            version=found["version"],
        ),
        data=found["data"],
        access=found["access"],
        status=JobStatus(found["status"]),
        nonce=found["nonce"],
        worker=found["worker"],
        result=found["result"],
        silent=(now - found["seen"]).total_seconds(),
    )
