import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgresql import Server
from sqlalchemy import Connection, Engine, event

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger import Ledger

UNIT_TESTS = Path(__file__).parents[2] / "unit" / "ledger"
OF_THE_DATABASE = [
    "opening",
    "audit",
    "leases",
    "claims",
    "gates",
    "groups",
    "rollouts",
]
"""Unit tests of what may differ: migrations, triggers, times, locks and orders."""


@pytest.fixture
def url(postgresql: Server) -> str:
    return postgresql.new_ledger()


def test_the_ledger_keeps_its_promises_over_postgresql(postgresql: Server) -> None:
    suite = subprocess.run(
        [
            *[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
            *(UNIT_TESTS / f"test_ledger_{name}.py" for name in OF_THE_DATABASE),
        ],
        check=False,
        env=os.environ | {"LEDGER_TEST_SERVER": postgresql.url},
        stdout=subprocess.PIPE,
        text=True,
    )

    assert suite.returncode == 0, suite.stdout


def test_a_server_that_restarts_is_waited_for(
    postgresql: Server, url: str, shop: Pipeline
) -> None:
    with Ledger(url) as ledger, ThreadPoolExecutor() as threads:
        ledger.executions.start(shop, variables={}, started_by="ann")
        postgresql.stop()
        written = threads.submit(
            ledger.executions.start, shop, variables={}, started_by="bob"
        )
        read = threads.submit(ledger.executions.find, "shop", 1)
        postgresql.start()

        assert written.result().number == 2
        assert read.result().number == 1


def test_what_was_committed_before_the_answer_got_lost_is_not_done_twice(
    url: str, shop: Pipeline
) -> None:
    with Ledger(url) as ledger:
        ledger.executions.start(shop, variables={}, started_by="ann")
        _lose_the_answer_to_the_next_commit(ledger._database.engine)

        execution = ledger.executions.start(shop, variables={}, started_by="bob")

        assert execution.number == 2
        assert len(ledger.executions.list()) == 2
        assert len(ledger.audit.entries()) == 2


def _lose_the_answer_to_the_next_commit(engine: Engine) -> None:
    def commit_and_break(connection: Connection) -> None:
        event.remove(engine, "commit", commit_and_break)
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    event.listen(engine, "commit", commit_and_break)


def test_a_server_that_never_was_there_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be reached"):
        Ledger(f"postgresql+psycopg://delivery@/postgres?host={tmp_path}")


def test_a_server_that_stays_away_is_reported(
    postgresql: Server, url: str, shop: Pipeline
) -> None:
    with Ledger(url, patience=1) as ledger:
        ledger.executions.start(shop, variables={}, started_by="ann")
        postgresql.stop()

        try:
            with pytest.raises(LedgerError, match="cannot be reached"):
                ledger.executions.start(shop, variables={}, started_by="bob")
        finally:
            postgresql.start()

        assert len(ledger.executions.list()) == 1


def test_a_writer_that_waits_too_long_is_told(url: str, shop: Pipeline) -> None:
    with Ledger(url) as writer, Ledger(url, patience=1) as other:

        def interrupted(_: object) -> None:
            with pytest.raises(LedgerError, match="is locked by another process"):
                other.leases.take("production", holder="bob", ttl=30)

        writer._database.write(interrupted)


def test_a_frozen_writer_loses_its_lock(url: str) -> None:
    with Ledger(url, patience=1) as frozen, Ledger(url) as other:

        def sleep(_: object) -> None:
            # Waits for the lock until the server has ended the frozen session.
            other.leases.take("production", holder="bob", ttl=30)

        with pytest.raises(LedgerError):
            frozen._database.write(sleep)

        assert [lease.holder for lease in other.leases.held()] == ["bob"]


def test_leases_go_by_the_clock_of_the_server(url: str) -> None:
    with Ledger(url) as ledger:
        lease = ledger.leases.take("production", holder="ann", ttl=60)

        [entry] = ledger.audit.entries()
        assert (lease.expires - entry.at).total_seconds() == 60
        assert abs(entry.at - datetime.now(UTC)).total_seconds() < 3600
