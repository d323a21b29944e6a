"""A ledger of its own for every test.

With `LEDGER_TEST_SERVER=postgresql+psycopg://...` the same tests run over that server,
each in a schema of its own.
"""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ArtifactRef, Execution
from prefect_delivery.ledger import Attempt, Ledger, Release

SERVER = os.environ.get("LEDGER_TEST_SERVER")


@pytest.fixture
def ledger_url(tmp_path: Path) -> Iterator[str]:
    """Where a ledger may be made."""
    if SERVER is None:
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    server = create_engine(SERVER, isolation_level="AUTOCOMMIT")
    schema = f"ledger_{uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = make_url(SERVER).update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


@pytest.fixture
def clock() -> list[datetime]:
    """The ledger's present, as the only item."""
    return [datetime(2026, 3, 29, 0, 59, tzinfo=UTC)]


@pytest.fixture
def pass_time(clock: list[datetime]) -> Callable[[float], None]:
    """Let so many seconds pass for the ledger."""

    def wait(seconds: float) -> None:
        clock[0] += timedelta(seconds=seconds)

    return wait


@pytest.fixture
def ledger(ledger_url: str, clock: list[datetime]) -> Iterator[Ledger]:
    with Ledger(ledger_url, now=lambda: clock[0]) as opened:
        yield opened


@pytest.fixture
def shop() -> Pipeline:
    """A pipeline whose stages are not in alphabetical order."""
    action = {"actions": {"run": {"uses": "build/commands"}}}
    return Pipeline.model_validate(
        {
            "pipeline": "shop",
            "environments": {"production": {"kind": "host", "root": "./site"}},
            "stages": {"Source": action, "Build": action, "Approve": action},
        }
    )


@pytest.fixture
def execution(ledger: Ledger, shop: Pipeline) -> Execution:
    return ledger.executions.start(shop, variables={"greeting": "hi"}, started_by="ann")


@pytest.fixture
def attempt(ledger: Ledger, execution: Execution) -> Attempt:
    return ledger.executions.claim(execution.id, holder="worker", ttl=30)


@pytest.fixture
def make_release(ledger: Ledger) -> Callable[[str], Release]:
    """Make a release of an artifact's digest."""

    def make(artifact: str) -> Release:
        return ledger.releases.create(
            pipeline="shop",
            execution_id="",
            artifact=ArtifactRef(digest=artifact, size=7),
            revisions={"app": f"commit-{artifact}"},
            definition_digest="d" * 64,
            variables={},
        )

    return make


@pytest.fixture
def deploy(ledger: Ledger) -> Callable[..., str]:
    """Roll a release out and close it with a status; gives the rollout's id."""

    def roll_out(
        release: Release,
        status: str = "committed",
        *,
        kind: str = "forward",
        environment: str = "production",
    ) -> str:
        lease = ledger.leases.take(environment, holder="worker", ttl=30)
        current = ledger.releases.current(environment)
        rollout = ledger.rollouts.open(
            lease,
            environment=environment,
            release=release.digest,
            previous=current.digest if current else None,
            execution_id="",
            kind="rollback" if kind == "rollback" else "forward",
        )
        if status == "committed":
            ledger.rollouts.close(lease, rollout.id, "committed")
        elif status == "rolled-back":
            ledger.rollouts.close(lease, rollout.id, "rolled-back", "unhealthy")
        elif status == "rollback-failed":
            ledger.rollouts.close(lease, rollout.id, "rollback-failed", "no answer")
        ledger.leases.release(lease)
        return rollout.id

    return roll_out


@pytest.fixture
def python() -> list[str]:
    """The command to run Python with what these tests import."""
    return [sys.executable, "-W", "error::ResourceWarning"]
