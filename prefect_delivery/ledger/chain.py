"""The audit log's chain: each entry's hash covers the entry before it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from prefect_delivery.ledger.tables import audit, storable

FIRST: Final = "0" * 64


def append(
    connection: Connection,
    at: datetime,
    actor: str,
    verb: str,
    subject: str,
    detail: Mapping[str, Any],
) -> str:
    """Add an entry; the caller holds the writer's lock. Returns the entry's hash."""
    last = connection.execute(
        select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    ).one_or_none()
    entry = {
        "seq": last.seq + 1 if last else 1,
        "at": at,
        "actor": storable(actor),
        "verb": verb,
        "subject": storable(subject),
        "detail": canonical(detail),
    }
    previous = last.hash if last else FIRST
    digest = hash_of(previous, entry)
    connection.execute(insert(audit).values(previous=previous, hash=digest, **entry))
    return digest


def holds(connection: Connection, digest: str) -> bool:
    """Whether the log has an entry of that hash."""
    return bool(
        connection.execute(
            select(audit.c.seq).where(audit.c.hash == digest)
        ).one_or_none()
    )


def hash_of(previous: str, entry: Mapping[str, Any]) -> str:
    """SHA-256 over the previous hash and the canonical JSON of the entry's fields."""
    at: datetime = entry["at"]
    fields = [
        entry["seq"],
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        *(entry[name] for name in ("actor", "verb", "subject", "detail")),
    ]
    return hashlib.sha256((previous + canonical(fields)).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON with sorted keys, no blanks, ASCII only: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
