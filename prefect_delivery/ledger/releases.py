"""Releases: what was made to run in environments, and what ran where."""

import builtins
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, tuple_

from prefect_delivery.engine.state import ArtifactRef, Execution
from prefect_delivery.errors import Refused
from prefect_delivery.holder import this_holder
from prefect_delivery.ledger.chain import canonical
from prefect_delivery.ledger.database import Room, Transaction, writes
from prefect_delivery.ledger.loading import all_executions, load
from prefect_delivery.ledger.records import Release
from prefect_delivery.ledger.tables import (
    environments,
    executions,
    releases,
    rollouts,
)


class Releases(Room):
    """Every release."""

    @writes
    def create(
        self,
        tx: Transaction,
        *,
        pipeline: str,
        execution_id: str,
        artifact: ArtifactRef,
        revisions: dict[str, str],
        definition_digest: str,
        variables: dict[str, str],
    ) -> Release:
        """Make a release, or find the one that says the same.

        Args:
            execution_id: Not part of the digest; empty outside of pipelines.
        """
        content = {
            "pipeline": pipeline,
            "artifact": asdict(artifact),
            "revisions": revisions,
            "definition_digest": definition_digest,
            "variables": variables,
        }
        digest = hashlib.sha256(canonical(content).encode()).hexdigest()
        known = tx.execute(select(releases).filter_by(digest=digest)).first()
        if known is not None:
            return _release(known)
        number = select(executions.c.number).filter_by(id=execution_id)
        del content["artifact"]
        tx.execute(
            insert(releases).values(
                digest=digest,
                execution_id=execution_id,
                number=tx.execute(number).scalar() or 0,
                artifact_digest=artifact.digest,
                artifact_size=artifact.size,
                created=tx.now,
                **content,
            )
        )
        tx.audit(
            this_holder(),
            "create release",
            digest,
            artifact=artifact.digest,
            execution=execution_id,
            **content,
        )
        return _release(tx.execute(select(releases).filter_by(digest=digest)).one())

    def get(self, digest: str) -> Release:
        """The release of that digest.

        Raises:
            Refused: There is none.
        """
        with self._database.read() as connection:
            found = _with_digests(connection, [digest])
        if not found:
            raise Refused(f"there is no release {digest}")
        return found[0]

    def find(self, words: str, *, pipeline: str | None = None) -> Release:
        """The release whose digest begins so.

        Args:
            pipeline: Only of this one.

        Raises:
            Refused: There is none, or there are several.
        """
        query = select(releases).where(
            releases.c.digest.startswith(words, autoescape=True)
        )
        if pipeline is not None:
            query = query.where(releases.c.pipeline == pipeline)
        with self._database.read() as connection:
            found = connection.execute(query.limit(2)).all()
        if len(found) != 1:
            problem = "several releases begin" if found else "no release begins"
            raise Refused(
                f"{problem} with '{words}'", hint="see: deliver releases ENVIRONMENT"
            )
        return _release(found[0])

    def current(self, environment: str) -> Release | None:
        """The release that was committed last to the environment."""
        query = (
            select(releases)
            .join(environments, environments.c.current == releases.c.digest)
            .where(environments.c.name == environment)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return _release(row) if row else None

    def previous(self, environment: str) -> Release | None:
        """The release to go back to: the last good one before the current one.

        After a rollback this is the one before, not the one that was rolled back.
        """
        with self._database.read() as connection:
            before = _lineage(_committed(connection, environment))[:-1]
            return _with_digests(connection, before[-1:])[0] if before else None

    def standing(self, environment: str) -> builtins.list[Release]:
        """The releases one could go back to, in turn; the current one is the last.

        What was rolled back is not among them.
        """
        with self._database.read() as connection:
            return _with_digests(
                connection, _lineage(_committed(connection, environment))
            )

    def pinned(self, keep: int = 5) -> set[str]:
        """Digests of the artifacts that must not be removed.

        Those are the artifacts of open executions, of each pipeline's latest execution
        (it may be retried), of unfinished rollouts, and of the releases that
        environments run.

        Args:
            keep: Releases to keep per environment, the current one included.
        """
        with self._database.read() as connection:
            needed: set[str] = set()
            for name in connection.scalars(select(environments.c.name)).all():
                committed = _committed(connection, name)
                needed.update(_lineage(committed)[-keep:])
                needed.update(_newest_first(committed)[:keep])
            unfinished = select(rollouts).filter_by(status="open")
            for row in connection.execute(unfinished):
                needed.update(filter(None, (row.release, row.previous)))
            found = _with_digests(connection, [*needed])
            return {release.artifact.digest for release in found} | _in_use(connection)

    def list(self, environment: str, limit: int = 20) -> builtins.list[Release]:
        """Releases that were committed to the environment, the newest commit first."""
        with self._database.read() as connection:
            newest = _newest_first(_committed(connection, environment))[:limit]
            return _with_digests(connection, newest)


def _committed(connection: Connection, environment: str) -> list[Row[Any]]:
    query = select(rollouts.c.release, rollouts.c.kind).where(
        rollouts.c.environment == environment, rollouts.c.status == "committed"
    )
    return [*connection.execute(query.order_by(rollouts.c.position))]


def _newest_first(committed: Sequence[Row[Any]]) -> list[str]:
    # A dict keeps the first position of a key: walk backwards to keep the last one.
    return [*dict.fromkeys(row.release for row in reversed(committed))]


def _lineage(committed: Sequence[Row[Any]]) -> list[str]:
    """The releases one could go back to, in turn; the current one is the last.

    A forward rollout adds a release; a rollback takes away what it went back over.
    """
    line: list[str] = []
    for row in committed:
        if row.release in line and (row.kind == "rollback" or line[-1] == row.release):
            del line[line.index(row.release) + 1 :]
        else:
            line = [release for release in line if release != row.release]
            line.append(row.release)
    return line


def _in_use(connection: Connection) -> set[str]:
    """Digests of the artifacts of executions that go on, or may."""
    latest = select(executions.c.pipeline, func.max(executions.c.number)).group_by(
        executions.c.pipeline
    )
    needed = executions.c.ended.is_(None) | tuple_(
        executions.c.pipeline, executions.c.number
    ).in_(latest)
    return {
        artifact.digest
        for execution in load(connection, all_executions().where(needed))
        for artifact in _artifacts(execution)
    }


def _artifacts(execution: Execution) -> Iterator[ArtifactRef]:
    if execution.carried:
        yield from execution.carried.artifacts.values()
    for stage in execution.stages.values():
        for runs in stage.actions.values():
            for run in runs:
                yield from run.artifacts.values()


def _with_digests(connection: Connection, digests: list[str]) -> list[Release]:
    """The releases of `digests`, in that order."""
    query = select(releases).where(releases.c.digest.in_(digests))
    found = {row.digest: _release(row) for row in connection.execute(query)}
    return [found[digest] for digest in digests if digest in found]


def _release(row: Row[Any]) -> Release:
    fields = row._asdict()
    artifact = ArtifactRef(
        digest=fields.pop("artifact_digest"), size=fields.pop("artifact_size")
    )
    return Release(**fields, artifact=artifact)
