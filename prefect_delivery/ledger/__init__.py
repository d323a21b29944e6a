"""The ledger: the durable truth, in SQLite or PostgreSQL. Only this package speaks SQL."""

from prefect_delivery.ledger.environments import Repair
from prefect_delivery.ledger.ledger import Ledger
from prefect_delivery.ledger.records import (
    Attempt,
    Entry,
    EnvironmentState,
    Lease,
    Owner,
    Quarantined,
    Release,
    Rollout,
    RolloutKind,
    RolloutStatus,
    Step,
    Transition,
    never,
)

__all__ = [
    "Attempt",
    "Entry",
    "EnvironmentState",
    "Lease",
    "Ledger",
    "Owner",
    "Quarantined",
    "Release",
    "Repair",
    "Rollout",
    "RolloutKind",
    "RolloutStatus",
    "Step",
    "Transition",
    "never",
]
