"""What the auditor looks at, read once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import RowMapping, select

from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.tables import metadata
from prefect_delivery.rollout import Target


@dataclass(frozen=True)
class Entry:
    """One line of the audit log, as it lies in the database."""

    seq: int
    actor: str
    verb: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What the auditor looks at.

    Attributes:
        environments: The real targets, by the ledger's name for them.
        secrets: Values that must be nowhere in clear.
        effects: Idempotency keys in the order in which a target has acted on them.
    """

    ledger: Ledger
    environments: Mapping[str, Target] = field(default_factory=dict[str, Target])
    secrets: Sequence[str] = ()
    effects: Sequence[str] = ()

    @cached_property
    def tables(self) -> dict[str, Sequence[RowMapping]]:
        """All rows of all tables, from one snapshot."""
        with self.ledger._database.read() as connection:
            return {
                table.name: connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                )
                .mappings()
                .all()
                for table in metadata.sorted_tables
            }

    @cached_property
    def log(self) -> list[Entry]:
        """The audit log, the oldest entry first."""
        return [
            Entry(
                row["seq"],
                row["actor"],
                row["verb"],
                row["subject"],
                json.loads(row["detail"]),
            )
            for row in self.tables["audit"]
        ]

    def log_of(self, verb: str) -> list[Entry]:
        """The entries of one verb."""
        return [entry for entry in self.log if entry.verb == verb]

    @cached_property
    def executions(self) -> dict[str, RowMapping]:
        """Executions by id."""
        return {row["id"]: row for row in self.tables["executions"]}


def releases_in(case: Case, environment: str) -> set[str | None]:
    """Both releases of an environment whose rollout is held; empty for any other."""
    of_it = [r for r in case.tables["rollouts"] if r["environment"] == environment]
    last = max(of_it, key=lambda row: row["position"], default=None)
    if last is None or last["status"] != "held":
        return set()
    return {last["release"], last["previous"]}


def title(execution: RowMapping) -> str:
    """What people call an execution."""
    return f"{execution['pipeline']} #{execution['number']}"
