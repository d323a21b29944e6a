"""`deliver audit`: who did what, and whether the log is still what was written."""

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from prefect_delivery.cli import audit
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.ledger import Ledger


@pytest.fixture
def written(home: Path, shop: Pipeline) -> Ledger:
    ledger = Ledger.open()
    for person in ("ann", "bob", "cid"):
        ledger.executions.start(shop, variables={}, started_by=person)
    return ledger


def tamper(home: Path, statement: str) -> None:
    """Change the log as somebody does who owns the database: its triggers go first."""
    engine = create_engine(f"sqlite:///{home}/ledger.db")
    with engine.begin() as connection:
        found = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in connection.scalars(found).all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement))
    engine.dispose()


def test_verify_names_the_first_broken_entry_and_what_to_do(
    written: Ledger, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.verify() == 0
    tamper(home, "UPDATE audit SET actor = 'eve' WHERE seq >= 2")

    code = audit.verify()
    said = capsys.readouterr().err
    audit.verify(output="json")
    data = json.loads(capsys.readouterr().out)

    assert code == 1
    assert "the audit log is broken at entry 2" in said
    assert "compare it with a backup" in said
    assert (data["ok"], data["broken"], data["entries"]) == (False, 2, 3)


def test_verify_notices_that_the_newest_entries_were_cut_off(
    written: Ledger, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = written.audit.entries(1)[0].hash
    assert audit.verify(holds=newest) == 0
    tamper(home, "DELETE FROM audit WHERE seq = 3")

    assert audit.verify() == 0
    assert audit.verify(holds=newest) == 1
    assert "were cut off" in capsys.readouterr().err


def test_list_narrows_to_a_subject_and_a_person(
    written: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.list_("shop #2", output="json")
    [of_subject] = json.loads(capsys.readouterr().out)
    audit.list_(by="cid", output="json")
    [by_person] = json.loads(capsys.readouterr().out)

    assert (of_subject["actor"], of_subject["seq"]) == ("bob", 2)
    assert by_person["subject"] == "shop #3"
