"""All that the ledger knows of one execution, in one piece."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prefect_delivery.definition.events import places_of
from prefect_delivery.engine.approvals import Vote
from prefect_delivery.engine.state import Execution
from prefect_delivery.ledger import (
    Destination,
    Entry,
    Ledger,
    Release,
    Rollout,
    Waited,
)
from prefect_delivery.timing import Timing, timing_of

MOST_ENTRIES: Final = 10_000
"""Audit entries of an execution that are read; the newest ones."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """One execution, whole.

    Attributes:
        other: The execution that a rollback or promotion brings something along from.
        votes: By stage, action and attempt.
        releases: Those that its rollouts are about, by digest.
        entries: What the audit log says of it, the oldest first.
        untold: Where its notifications go, of which some could not be sent the last time.
    """

    execution: Execution
    other: Execution | None
    timing: Timing
    waits: list[Waited]
    votes: dict[tuple[str, str, int], list[Vote]]
    rollouts: list[Rollout]
    releases: dict[str, Release]
    entries: list[Entry]
    untold: list[Destination]


def story_of(ledger: Ledger, execution: Execution, now: datetime) -> Story:
    """Read all that there is on an execution."""
    waits = ledger.waits.list(execution.id)
    rollouts = ledger.rollouts.of_execution(execution.id)
    digests = {
        digest
        for rollout in rollouts
        for digest in (rollout.release, rollout.previous)
        if digest
    }
    carried = execution.carried
    places = places_of(execution.definition)
    newest_first = ledger.audit.entries(MOST_ENTRIES, subject=execution.title)
    return Story(
        execution=execution,
        other=ledger.executions.get(carried.execution) if carried else None,
        timing=timing_of(execution, waits, now),
        waits=waits,
        votes=ledger.votes.list(execution.id),
        rollouts=rollouts,
        releases={digest: ledger.releases.get(digest) for digest in digests},
        entries=newest_first[::-1],
        untold=[
            place
            for place in ledger.outbox.list()
            if place.name in places and place.error
        ],
    )
