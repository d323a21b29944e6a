"""The server as a process: what it took survives it, and nobody overwhelms it."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import httpx
import webhooks
from delivery_server import DeliveryServer, Gate
from deployed import until
from deployed_repository import DeployedRepository
from git_http import GitServer
from webhooks import Delivery

MANY = int(os.environ.get("DELIVERY_WEBHOOKS", "40"))
"""Deliveries among which the server is killed; 800 is what is promised."""
MAIN = "{push: {branches: [main]}}"


def test_one_delivery_fifty_times_and_over_a_restart_starts_one_execution(
    there: DeployedRepository, server: DeliveryServer
) -> None:
    there.deploy("shop", MAIN)
    commit = there.developer.commit("one", {"a": "1"})
    there.developer.push()
    data = webhooks.push(there.url, commit)
    same = webhooks.github("push", data, id="same")
    other_ids = [webhooks.github("push", data) for _ in range(10)]
    other_body = webhooks.github("push", {**data, "sent": "again"})

    server.start()
    first = server.post_all([same] * 50, senders=10)
    until(lambda: there.ledger.inbox.waiting() == 0, "the inbox")
    stopped = server.stop()
    server.start()
    second = server.post_all([same] * 50 + other_ids, senders=10)
    third = server.post(other_body)
    until(lambda: there.ledger.inbox.waiting() == 0, "the inbox")

    assert first == Counter({200: 49, 202: 1})
    assert stopped == 0
    assert second == Counter({200: 60})
    assert third == 202
    (execution,) = there.ledger.executions.list()
    assert execution.revisions == {"app": commit}
    outcomes = [outcome for _, outcome in there.ledger.inbox.outcomes()]
    assert outcomes == [
        "push to main: shop #1 started",
        "push to main: shop #1 was started before",
    ]
    assert webhooks.KEY not in server.log


def test_what_was_accepted_is_carried_out_once_though_the_server_is_killed(
    there: DeployedRepository, server: DeliveryServer, git_server: GitServer
) -> None:
    gate = Gate(git_server.port)
    there.url = there.url.replace(f":{git_server.port}/", f":{gate.port}/")
    there.deploy("shop", MAIN)
    commit = there.developer.commit("one", {"a": "1"})
    there.developer.push()

    server.start()
    accepted = server.post(webhooks.github("push", webhooks.push(there.url, commit)))
    gate.wait_for_a_caller()  # the repository is being asked, and does not answer
    server.kill()
    left = there.ledger.inbox.waiting()
    gate.open()
    server.start()
    until(lambda: there.ledger.inbox.waiting() == 0, "the inbox")
    gate.close()

    assert (accepted, left) == (202, 1)
    (execution,) = there.ledger.executions.list()
    assert execution.revisions == {"app": commit}
    there.ledger.audit.verify()


def test_all_that_was_accepted_among_many_starts_once_though_the_server_is_killed(
    there: DeployedRepository, server: DeliveryServer
) -> None:
    there.deploy("shop", "{push: {tags: ['v*']}}")
    commit = there.developer.commit("one", {"a": "1"})
    refs = [f"refs/tags/v{number}" for number in range(MANY)]
    there.developer.push(*[f"HEAD:{ref}" for ref in refs])
    deliveries = {
        ref: webhooks.github("push", webhooks.push(there.url, commit, ref))
        for ref in refs
    }
    limits = {"burst": 3 * MANY, "waiting": 2 * MANY}

    server.start(**limits)
    with ThreadPoolExecutor(16) as senders:
        asked = {
            senders.submit(_answer, server, delivery): ref
            for ref, delivery in deliveries.items()
        }
        for _ in islice(as_completed(asked), MANY // 4):
            pass
        server.kill()
    accepted = {ref for answer, ref in asked.items() if answer.result() == 202}
    server.start(**limits)
    until(lambda: there.ledger.inbox.waiting() == 0, "the inbox", 120 + 5 * MANY)
    once = _started(there)
    # Who had no answer sends it again, and who had one may, too.
    again = server.post_all([*deliveries.values()], senders=16)
    until(lambda: there.ledger.inbox.waiting() == 0, "the inbox", 120 + 5 * MANY)

    assert len(accepted) >= MANY // 4
    assert len(accepted) < MANY, "the server was killed too late"
    assert accepted <= once.keys()
    assert set(again) == {200, 202}
    assert _started(there) == dict.fromkeys(refs, 1)
    there.ledger.audit.verify()


def _answer(server: DeliveryServer, delivery: Delivery) -> int | None:
    try:
        return server.post(delivery)
    except httpx.HTTPError:
        return None  # the server is gone


def _started(there: DeployedRepository) -> Counter[str]:
    """How many executions each tag has started."""
    found = there.ledger.executions.list(limit=2 * MANY)
    return Counter(f"refs/tags/{each.trigger.removeprefix('tag ')}" for each in found)


def test_a_flood_is_turned_away_and_takes_no_memory(
    there: DeployedRepository, server: DeliveryServer, tmp_path: Path
) -> None:
    server.start(burst=200, each_minute=600, waiting=150)
    padding = "x" * 2000
    deliveries = [
        webhooks.github(
            "push",
            {**webhooks.push(there.url, f"{number:040x}"), "padding": padding},
        )
        for number in range(1, 10_001)
    ]
    server.post_all(deliveries[:50], senders=8)
    before = server.memory

    answers = server.post_all(deliveries[50:], senders=8)
    alive = server.health()
    after = server.memory

    assert set(answers) <= {202, 429, 503}
    assert answers[429] > 5000
    assert alive.status_code == 200
    assert after - before < 40_000_000
    assert len(there.ledger.inbox.outcomes()) == answers[202] + 50
    until(lambda: there.ledger.inbox.waiting() == 0, "the inbox")
    assert there.ledger.executions.list() == []
