"""The ledger: the durable truth, in SQLite or PostgreSQL. Only this package speaks SQL."""

from prefect_delivery.ledger.environments import Repair
from prefect_delivery.ledger.ledger import Ledger
from prefect_delivery.ledger.records import (
    Attempt,
    Deployed,
    Entry,
    EnvironmentState,
    Lease,
    Message,
    NotedChange,
    Owner,
    Quarantined,
    Release,
    Rollout,
    RolloutKind,
    RolloutStatus,
    Step,
    Told,
    Transition,
    Unattended,
    Waited,
    never,
)

__all__ = [
    "Attempt",
    "Deployed",
    "Entry",
    "EnvironmentState",
    "Lease",
    "Ledger",
    "Message",
    "NotedChange",
    "Owner",
    "Quarantined",
    "Release",
    "Repair",
    "Rollout",
    "RolloutKind",
    "RolloutStatus",
    "Step",
    "Told",
    "Transition",
    "Unattended",
    "Waited",
    "never",
]
