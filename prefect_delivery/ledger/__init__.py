"""The ledger: the durable truth, in SQLite or PostgreSQL. Only this package speaks SQL."""

from prefect_delivery.ledger.ledger import Ledger
from prefect_delivery.ledger.records import (
    Attempt,
    Entry,
    EnvironmentState,
    Lease,
    Owner,
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
    "Release",
    "Rollout",
    "RolloutKind",
    "RolloutStatus",
    "Step",
    "Transition",
    "never",
]
