"""Looks at repositories: what a lost webhook would have told, and what is broken."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deployed_repository import DeployedRepository
from httpx import ConnectError

from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.close import close_dead
from prefect_delivery.flows.watch import look_around
from prefect_delivery.ledger import Ledger
from prefect_delivery.settings import settings

ANY = "{push: {branches: ['**'], tags: ['v*']}}"


def look(there: DeployedRepository) -> list[str]:
    said: list[str] = []
    look_around(there.ledger, said.append, hand_over=there._hand_over)
    return said


def test_a_look_finds_what_no_webhook_told_and_nothing_twice(
    there: DeployedRepository,
) -> None:
    there.deploy("shop", ANY)
    there.developer.commit("one", {"a": "1"})
    there.developer.push()

    (first,) = look(there)
    told = there.developer.commit("two", {"a": "2"})
    there.developer.push()
    there.incoming(there.push(told))
    after_a_webhook = look(there)
    lost = there.developer.commit("three", {"a": "3"})
    there.developer.git("tag", "-a", "-m", "v1", "v1")
    there.developer.push("HEAD:main", "HEAD:new", "v1")
    found = look(there)
    there.developer.push(":new")

    assert first.endswith("watched from now on")
    assert after_a_webhook == []
    assert found == [
        "shop #2: push to main",
        "shop #3: push to new",
        "shop #4: tag v1",
    ]
    newest = there.ledger.executions.list()
    assert [each.revisions["app"] for each in newest[:3]] == [lost] * 3
    assert look(there) == []
    (deleted,) = [n for n in there.ledger.changes.list() if n.reason]
    assert deleted.reason == "refs/heads/new was deleted"
    # Nobody has begun them, so each look hands them over again; Prefect knows their keys.
    assert {each.id for each in there.handed_over} == {each.id for each in newest}


def test_one_that_cannot_be_read_stops_no_other(
    there: DeployedRepository, tmp_path: Path
) -> None:
    there.deploy("shop", ANY)
    there.developer.commit("one", {"a": "1"})
    there.developer.push()
    good, broken = there.url, there.url.replace("/public/", "/broken/")
    there.url = broken
    there.deploy("broken", ANY)
    there.url = good
    look(there)
    there.developer.commit("two", {"a": "2"})
    there.developer.push()

    said = look(there)

    assert said[-1] == "shop #1: push to main"
    assert any("/broken/" in line for line in said[:-1])


def test_the_first_push_to_an_empty_repository_is_found(
    there: DeployedRepository,
) -> None:
    there.deploy("shop", ANY)
    look(there)
    there.developer.commit("one", {"a": "1"})
    there.developer.push()

    assert look(there) == ["shop #1: push to main"]


def test_what_prefect_could_not_be_told_is_told_at_the_next_look(
    there: DeployedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.deploy("shop", ANY)
    commit = there.developer.commit("one", {"a": "1"})
    there.developer.push()
    look(there)
    hand_over = there._hand_over

    def down(ledger: Ledger, execution: Execution) -> None:
        raise ConnectError("the server is down")

    monkeypatch.setattr(there, "_hand_over", down)
    (started,) = there.incoming(there.push(commit))
    (complaint,) = look(there)
    monkeypatch.setattr(there, "_hand_over", hand_over)
    look(there)

    assert getattr(started, "handed_over", None) is False
    assert "shop #1 is not handed over yet" in complaint
    assert [execution.title for execution in there.handed_over] == ["shop #1"]


def test_what_no_worker_has_taken_up_waits_for_one(there: DeployedRepository) -> None:
    there.deploy("shop", ANY)
    commit = there.developer.commit("one", {"a": "1"})
    there.developer.push()
    there.incoming(there.push(commit))
    late = Ledger(settings().ledger, now=lambda: datetime.now(UTC) + timedelta(hours=9))

    said: list[str] = []
    close_dead(late, said.append)

    assert said == []
    assert late.executions.find("shop").status is Status.IN_PROGRESS
    assert late.changes.not_taken_up() == [late.executions.find("shop").id]
