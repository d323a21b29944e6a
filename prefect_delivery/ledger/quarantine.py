"""Releases that were taken out of an environment, and stay out until somebody lifts it."""

import builtins
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from prefect_delivery.errors import Refused
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.environments import known_environment
from prefect_delivery.ledger.records import Quarantined, Step
from prefect_delivery.ledger.tables import quarantine, releases

_VERDICTS = {"verify", "watch", "after"}
"""Steps that judge the release that they look at."""


class Quarantine(Room):
    """Every release that may not come back into an environment."""

    @writes
    def put(
        self, tx: Transaction, environment: str, release: str, *, by: str, reason: str
    ) -> None:
        """Keep a release out of an environment; what it runs now goes on running.

        Args:
            release: Its digest.

        Raises:
            Refused: There is no such release, or it is in quarantine already.
        """
        _release(tx, release)
        known_environment(tx, environment)
        if not put(tx, environment, release, by=by, reason=reason):
            raise Refused(f"{release[:12]} is in quarantine in {environment} already")

    @writes
    def lift(
        self, tx: Transaction, environment: str, release: str, *, by: str, reason: str
    ) -> None:
        """Let a release in again.

        Raises:
            Refused: It is not in quarantine.
        """
        keys = {"environment": environment, "release": release}
        known = tx.execute(select(quarantine).filter_by(**keys)).first()
        if known is None:
            raise Refused(
                f"{release[:12]} is not in quarantine in {environment}",
                hint=f"deliver env quarantine {environment}",
            )
        tx.execute(delete(quarantine).filter_by(**keys))
        tx.audit(
            by,
            "lift quarantine",
            environment,
            release=release,
            reason=reason,
            was=known.reason,
        )

    def list(self, environment: str | None = None) -> builtins.list[Quarantined]:
        """What is in quarantine, the newest first."""
        query = select(quarantine).order_by(quarantine.c.since.desc())
        if environment is not None:
            query = query.filter_by(environment=environment)
        with self._database.read() as connection:
            return [_quarantined(row) for row in connection.execute(query)]

    def of(self, environment: str, release: str) -> Quarantined | None:
        """Why a release, or one made of the same, may not come in; None if it may."""
        with self._database.read() as connection:
            return quarantined(connection, environment, release)

    def keeps_out(
        self, environment: str, artifact: str, revisions: dict[str, str]
    ) -> Quarantined | None:
        """Why what is made of an artifact or revisions may not come in."""
        return next(iter(self.keeping_out(environment, [artifact], revisions)), None)

    def keeping_out(
        self, environment: str, artifacts: Collection[str], revisions: dict[str, str]
    ) -> builtins.list[Quarantined]:
        """All that keeps out what is made of artifacts or revisions, the newest first."""
        with self._database.read() as connection:
            return _matches(connection, environment, artifacts, revisions)


def put(
    tx: Transaction,
    environment: str,
    release: str,
    *,
    by: str,
    reason: str,
    instead: str | None = None,
    automatic: bool = False,
) -> bool:
    """Keep a release out of an environment, and all that is made of the same.

    Args:
        instead: Digest of what serves in its place: what both are made of is not what
            is wrong, so it keeps nothing out.
        automatic: Nobody has asked for it.

    Returns:
        Whether it was not in quarantine before.
    """
    keys = {"environment": environment, "release": release}
    if tx.execute(select(quarantine).filter_by(**keys)).first() is not None:
        return False
    bad, good = _release(tx, release), _release(tx, instead) if instead else None
    same = good is not None and bad.artifact_digest == good.artifact_digest
    unmoved = good is not None and bad.revisions == good.revisions
    tx.execute(
        insert(quarantine).values(
            **keys,
            artifact=None if same else bad.artifact_digest,
            revisions={} if unmoved else bad.revisions,
            put_by=by,
            reason=reason,
            since=tx.now,
            automatic=automatic,
        )
    )
    tx.audit(
        by,
        "quarantine release",
        environment,
        release=release,
        reason=reason,
        automatic=automatic,
    )
    return True


def quarantined(
    connection: Connection | Transaction, environment: str, release: str
) -> Quarantined | None:
    """Why a release, or one made of the same, may not come in; None if it may."""
    keys = {"environment": environment, "release": release}
    if row := connection.execute(select(quarantine).filter_by(**keys)).first():
        return _quarantined(row)
    known = connection.execute(select(releases).filter_by(digest=release)).first()
    if known is None:
        return None
    artifacts = [known.artifact_digest]
    found = _matches(connection, environment, artifacts, known.revisions)
    return found[0] if found else None


def refuse_quarantined(tx: Transaction, environment: str, release: str) -> None:
    """Let no release in that is in quarantine.

    Raises:
        Refused: It is; says why, and what lets it in.
    """
    if found := quarantined(tx, environment, release):
        raise refusal(found)


def refusal(found: Quarantined, command: str | None = None) -> Refused:
    """The words for somebody who wants a release in that may not come in.

    Args:
        command: What lifts it and goes on at once, up to the reason.
    """
    lift = f"deliver env lift {found.environment} {found.release[:12]} -m REASON"
    return Refused(
        f"{found.environment} keeps release {found.release[:12]}, and what is made of"
        f" the same, in quarantine: {found.reason} (since"
        f" {found.since:%Y-%m-%d %H:%M} UTC, by {found.by})",
        hint=f"{command} --lift REASON, or: {lift}" if command else lift,
    )


def found_bad(steps: Sequence[Step]) -> bool:
    """Whether a release was judged to be bad after it had got traffic.

    One that was stopped, whose owner died, or that never had traffic may be tried again.
    """
    verbs = [step.verb for step in steps]
    if "shift" not in verbs:
        return False
    return any(
        step.verb in _VERDICTS and (step.outcome or "").startswith("failed")
        for step in steps[verbs.index("shift") :]
    )


def _matches(
    connection: Connection | Transaction,
    environment: str,
    artifacts: Collection[str],
    revisions: dict[str, str],
) -> list[Quarantined]:
    query = select(quarantine).filter_by(environment=environment)
    return [
        _quarantined(row)
        for row in connection.execute(query.order_by(quarantine.c.since.desc()))
        if row.artifact in artifacts or (row.revisions and row.revisions == revisions)
    ]


def _release(tx: Transaction, digest: str) -> Row[Any]:
    row = tx.execute(select(releases).filter_by(digest=digest)).first()
    if row is None:
        raise Refused(f"there is no release {digest}")
    return row


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        environment=row.environment,
        release=row.release,
        by=row.put_by,
        reason=row.reason,
        since=row.since,
        automatic=row.automatic,
    )
