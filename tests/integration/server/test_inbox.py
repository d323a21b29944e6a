"""What webhooks tell is a hint: the repository, over HTTP, says what is true."""

import itertools
from typing import Any

import pytest
import webhooks
from deployed_repository import DeployedRepository
from webhooks import ZERO, A

from prefect_delivery.definition import load
from prefect_delivery.flows.reconcile import set_right
from prefect_delivery.forges import FORGES
from prefect_delivery.inbox import CHANGES, process
from prefect_delivery.ledger import Ledger

ANY = "{push: {branches: ['**'], tags: ['v*']}, pull_request: {}}"


class Inbox:
    """What webhooks put into the ledger, and what comes of it."""

    def __init__(self, there: DeployedRepository) -> None:
        self.there = there
        self._count = itertools.count(1)

    def put(self, event: str, data: Any) -> None:
        delivery = webhooks.github(event, data)
        changes = FORGES["github"].read(delivery.headers, delivery.body)
        number = str(next(self._count))
        taken = self.there.ledger.inbox.accept(
            "github",
            delivery=number,
            digest=number,
            changes=CHANGES.dump_json(changes).decode(),
            most=100,
        )
        assert taken == "accepted"

    def carry_out(self) -> list[str]:
        """What became of what is due."""
        said: list[str] = []
        process(self.there.ledger, said.append, hand_over=self.there._hand_over)
        return [line.partition(": ")[2] for line in said]

    def told(self, event: str, data: Any) -> str:
        self.put(event, data)
        (said,) = self.carry_out()
        return said


@pytest.fixture
def inbox(there: DeployedRepository) -> Inbox:
    return Inbox(there)


def test_only_what_the_repository_has_starts_a_pipeline(inbox: Inbox) -> None:
    there = inbox.there
    there.deploy("shop", ANY)
    url = there.url
    base = there.developer.commit("base", {"a": "0"})
    one = there.developer.commit("one", {"a": "1"})
    there.developer.git("tag", "-a", "-m", "v1", "v1")
    there.developer.push("HEAD:main", "v1", "HEAD:refs/pull/7/head")
    there.developer.git("checkout", "--quiet", "--orphan", "other")
    elsewhere = there.developer.commit("elsewhere", {"a": "2"})
    there.developer.push("HEAD:other")
    tag_itself = there.developer.git("rev-parse", "v1")

    def push(*words: str) -> str:
        return inbox.told("push", webhooks.push(url, *words))

    def pull(number: int, sha: str, action: str = "opened", fork: int = 1) -> str:
        data = webhooks.pull(url, number, sha, action, fork)
        return inbox.told("pull_request", data)

    invented = push(A)
    of_another_branch = push(elsewhere)
    no_branch = push(one, "refs/heads/none")
    unknown = webhooks.push("https://github.com/eve/shop", one)
    nobodys = inbox.told("push", unknown)
    deleted = push(ZERO, "refs/heads/old", one)
    old_head = pull(7, base)
    forked = pull(7, one, fork=2)
    nothing_yet = there.ledger.executions.list()
    older = push(base)
    newer = push(one)
    older_again = push(base)
    tag = push(tag_itself, "refs/tags/v1")
    opened = pull(7, one, "synchronize")

    assert invented == f"push to main: {A} is not on refs/heads/main"
    assert of_another_branch == f"push to main: {elsewhere} is not on refs/heads/main"
    assert no_branch == "push to none: refs/heads/none is not there"
    assert nobodys == "push to main: no deployed pipeline has this repository"
    assert deleted == "push to old: shop: refs/heads/old was deleted"
    assert "refs/pull/7/head has another commit by now" in old_head
    assert "forks are not allowed" in forked
    assert nothing_yet == []
    assert older == "push to main: shop #1 started"
    assert newer == "push to main: shop #2 started"
    assert older_again == "push to main: shop #1 was started before"
    assert tag == "tag v1: shop #3 started"
    assert "shop" in opened
    assert there.ledger.executions.find("shop", 3).revisions == {"app": one}
    assert there.ledger.inbox.waiting() == 0
    there.ledger.audit.verify()


def test_reconcile_carries_out_what_is_left(inbox: Inbox) -> None:
    inbox.put("push", webhooks.push("https://github.com/eve/shop", A))
    said: list[str] = []

    set_right(inbox.there.ledger, said.append)

    left = "no deployed pipeline has this repository"
    assert said[-1] == f"github 1: push to main: {left}"
    assert inbox.there.ledger.inbox.waiting() == 0


def test_of_commits_in_the_wrong_order_the_newest_stays(inbox: Inbox) -> None:
    there = inbox.there
    there.deploy("shop", ANY)
    commits = [there.developer.commit(name, {"a": name}) for name in "abc"]
    there.developer.push()
    a, b, c = (webhooks.push(there.url, commit) for commit in commits)

    for data in (b, c, a, b):
        inbox.put("push", data)
    said = inbox.carry_out()

    assert [words.partition(": ")[2] for words in said] == [
        "shop #1 started",
        "shop #2 started",
        f"shop: older than {commits[2]}, which came before it",
        "shop #1 was started before",
    ]
    newest = there.ledger.executions.list()
    assert [each.revisions["app"] for each in newest] == [commits[2], commits[1]]


def test_a_repository_that_cannot_be_read_is_asked_again_and_holds_up_no_other(
    inbox: Inbox,
) -> None:
    there = inbox.there
    there.deploy("shop", ANY)
    commit = there.developer.commit("one", {"a": "1"})
    there.developer.push()
    gone = there.url.replace("/public/", "/public/gone-")
    there.ledger.deployments.note(
        load(there.text("broken", ANY).replace(there.url, gone)),
        deployment="00000000-0000-0000-0000-000000000000",
        origin="there",
        file="delivery.yaml",
        settings={},
        by="ann",
    )

    inbox.put("push", webhooks.push(gone, commit))
    inbox.put("push", webhooks.push(there.url, commit))
    said = inbox.carry_out()

    assert any(words.startswith("again in 5 s: ") for words in said), said
    assert "push to main: shop #1 started" in said
    assert there.ledger.inbox.waiting() == 1
    assert inbox.carry_out() == []  # not due yet


def test_what_meets_a_bug_holds_up_nothing_and_is_given_up_at_last(
    there: DeployedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(there)
    there.deploy("shop", ANY)
    commits = [there.developer.commit(name, {"a": name}) for name in "ab"]
    there.developer.push("HEAD:main")
    for commit in commits:
        inbox.put("push", webhooks.push(there.url, commit))
    ledger = there.ledger

    def broken(ledger: Ledger, change: Any) -> Any:
        if change.revision == commits[0]:
            raise ZeroDivisionError
        return change

    monkeypatch.setattr("prefect_delivery.inbox.confirmed", broken)
    monkeypatch.setattr("prefect_delivery.inbox.MOST_TRIES", 2)
    first = inbox.carry_out()
    ledger.inbox.later(1, "", seconds=-1)
    second = inbox.carry_out()

    assert first[0] == "again in 5 s: ZeroDivisionError: "
    assert first[1] == "push to main: shop #1 started"
    assert second == ["given up after 2 times: ZeroDivisionError: "]
    assert ledger.inbox.waiting() == 0
