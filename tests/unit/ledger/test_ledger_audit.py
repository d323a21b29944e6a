import pytest
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import DBAPIError

from prefect_delivery.errors import LedgerError
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.chain import hash_of
from prefect_delivery.ledger.tables import audit


@pytest.fixture
def audited(ledger: Ledger) -> Ledger:
    """A ledger with five audit entries."""
    for number in range(5):
        ledger.environments.register("production", "host", {"n": number})
    return ledger


def test_the_log_tells_who_did_what_to_what_and_when(
    ledger: Ledger, audited: Ledger
) -> None:
    ledger.leases.take("production\0", holder="ann \udcff", ttl=30)

    newest, *others = ledger.audit.entries()

    assert (newest.seq, newest.actor, newest.verb) == (6, r"ann \udcff", "take lease")
    assert newest.subject == r"production\x00"
    assert newest.detail == {"token": 1, "before": None}
    assert [entry.seq for entry in others] == [5, 4, 3, 2, 1]
    assert len(ledger.audit.entries(limit=2)) == 2
    ledger.audit.verify()


def test_the_same_log_verifies_after_a_restart(
    audited: Ledger, ledger_url: str
) -> None:
    with Ledger(ledger_url) as reopened:
        reopened.leases.take("production", holder="ann", ttl=30)

        reopened.audit.verify()


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET actor = 'mallory'", "DELETE FROM audit"]
)
def test_the_database_refuses_to_change_the_log(
    audited: Ledger, ledger_url: str, change: str
) -> None:
    raw = create_engine(ledger_url)

    with (
        pytest.raises(DBAPIError, match="the audit log is append-only"),
        raw.begin() as connection,
    ):
        connection.execute(text(change))

    raw.dispose()
    audited.audit.verify()


def _drop_triggers(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("DROP TRIGGER audit_refuses_update"))
        connection.execute(text("DROP TRIGGER audit_refuses_delete"))
    else:
        connection.execute(text("DROP TRIGGER audit_refuses_change ON audit"))


def _hash_as_if_by_mallory(connection: Connection, seq: int) -> str:
    row = connection.execute(select(audit).where(audit.c.seq == seq)).one()
    return hash_of(row.previous, row._asdict() | {"actor": "mallory"})


TAMPERINGS: dict[str, tuple[list[str], int]] = {
    "another actor": (["UPDATE audit SET actor = 'mallory' WHERE seq = 2"], 2),
    "another detail": (["UPDATE audit SET detail = '{{}}' WHERE seq = 3"], 3),
    "another time": (["UPDATE audit SET at = '2020-01-01 00:00:00' WHERE seq = 4"], 4),
    "rewritten with its hash and the link to it": (
        [
            "UPDATE audit SET actor = 'mallory', hash = '{forged}' WHERE seq = 3",
            "UPDATE audit SET previous = '{forged}' WHERE seq = 4",
        ],
        4,
    ),
    "removed": (["DELETE FROM audit WHERE seq = 3"], 3),
    "the first removed": (["DELETE FROM audit WHERE seq = 1"], 1),
    "swapped": (
        [
            "UPDATE audit SET seq = 100 WHERE seq = 5",
            "UPDATE audit SET seq = 5 WHERE seq = 4",
            "UPDATE audit SET seq = 4 WHERE seq = 100",
        ],
        4,
    ),
}


@pytest.mark.parametrize(("changes", "broken"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_tampering_is_found_where_it_begins(
    audited: Ledger, ledger_url: str, changes: list[str], broken: int
) -> None:
    raw = create_engine(ledger_url)
    with raw.begin() as connection:
        _drop_triggers(connection)
        forged = _hash_as_if_by_mallory(connection, 3)
        for change in changes:
            connection.execute(text(change.format(forged=forged)))
    raw.dispose()

    with pytest.raises(LedgerError, match=f"broken at entry {broken}"):
        audited.audit.verify()


def test_an_entry_is_written_with_its_change_or_not_at_all(
    audited: Ledger, ledger_url: str
) -> None:
    raw = create_engine(ledger_url)
    with raw.begin() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO hidden"))

    with pytest.raises(LedgerError):
        audited.leases.take("production", holder="ann", ttl=30)

    with raw.begin() as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO audit"))
    raw.dispose()
    assert audited.leases.held() == []
    audited.audit.verify()
