"""What the receiver answers, and what it keeps, whoever sends whatever."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import webhooks
from starlette.applications import Starlette
from webhooks import KEY, A, B, Delivery

from prefect_delivery.inbox import CHANGES
from prefect_delivery.ledger import Ledger
from prefect_delivery.server.app import create_app
from prefect_delivery.server.connections import Configuration

URL = "https://github.com/ann/shop.git"
LARGEST = 2000


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    with Ledger.open() as ledger:
        yield ledger


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Where a present and a future secret are."""
    monkeypatch.setenv("HOOK_KEY", KEY)
    (tmp_path / "next").write_text("the key of next month\n")
    return ["env:HOOK_KEY", f"file:{tmp_path / 'next'}"]


class Client:
    """Speaks to an application without a network."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return anyio.run(self._request, method, path, more)

    async def _request(
        self, method: str, path: str, more: dict[str, Any]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return await http.request(method, path, **more)

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)


def serving(ledger: Ledger, keys: list[str], **more: Any) -> Client:
    """The receiver as it is served, with nobody who carries out what it keeps."""
    connection = {"repositories": ["github.com/ann/*"], "secrets": keys}
    configuration = Configuration.model_validate(
        {
            "connections": {
                "github": {"forge": "github", **connection},
                "ours": {"forge": "signed", **connection},
            },
            "largest": LARGEST,
        }
        | more
    )
    return Client(create_app(configuration, ledger, carry_out=None))


@pytest.fixture
def client(ledger: Ledger, keys: list[str]) -> Client:
    return serving(ledger, keys)


def post(client: Client, delivery: Delivery, to: str = "github") -> tuple[int, str]:
    path = f"/delivery/hooks/{to}"
    headers = [(n, v.encode("latin-1")) for n, v in delivery.headers.items()]
    answer = client.post(path, content=delivery.body, headers=headers)
    return answer.status_code, answer.json()["said"]


PUSH = webhooks.github("push", webhooks.push(URL, A), id="1")


def test_what_is_genuine_is_kept_before_the_answer(
    client: Client, ledger: Ledger
) -> None:
    assert post(client, PUSH) == (202, "accepted")

    (message,) = ledger.inbox.due(limit=9)
    (change,) = CHANGES.validate_json(message.changes)
    assert (change.source, change.revision) == ("github.com/ann/shop", A)
    assert client.get("/delivery/health").json() == {"said": "ok", "waiting": 1}


def test_what_came_before_is_not_kept_again(client: Client, ledger: Ledger) -> None:
    other = webhooks.push(URL, B)

    answers = [
        post(client, PUSH),
        post(client, PUSH),
        post(client, PUSH.but(x_github_delivery="2")),  # which is not signed
        post(client, webhooks.github("push", other, id="1")),
        post(client, webhooks.github("push", other, id="3")),
    ]

    assert [status for status, _ in answers] == [202, 200, 200, 200, 202]
    assert answers[1][1] == answers[2][1] == "came before"
    assert ledger.inbox.waiting() == 2


DEEP = b'{"ref":' + b"[" * 500 + b"]" * 500 + b"}"
UNSIGNED = "the signature is wrong or missing"
ELSEWHERE = "https://github.com/eve/shop.git"
HOSTILE: dict[str, tuple[Delivery, int, str]] = {
    "unsigned": (PUSH.but(x_hub_signature_256=""), 401, UNSIGNED),
    "forged": (webhooks.github("push", webhooks.push(URL, A), key="x"), 401, UNSIGNED),
    "changed": (Delivery(PUSH.body + b"\n", PUSH.headers), 401, UNSIGNED),
    "not ASCII": (PUSH.but(x_hub_signature_256="sha256=\xe9"), 401, UNSIGNED),
    "form": (
        PUSH.but(content_type="application/x-www-form-urlencoded"),
        415,
        "send application/json",
    ),
    "no type": (PUSH.but(content_type=""), 415, "send application/json"),
    "large": (webhooks.github("push", b"x" * 2001), 413, "more than 2000 bytes"),
    "no JSON": (webhooks.github("push", b"\xff\x00"), 400, "Invalid JSON"),
    "empty": (webhooks.github("push", b""), 400, "Invalid JSON"),
    "deep": (webhooks.github("push", DEEP), 400, "Invalid JSON: recursion"),
    "a list": (webhooks.github("push", b"[]"), 400, "Input should be an object"),
    "no push": (webhooks.github("push", b"{}"), 400, "ref: Field required"),
    "another's": (
        webhooks.github("push", webhooks.push(ELSEWHERE, A)),
        403,
        "this connection may not speak of that repository",
    ),
    "a file": (
        webhooks.github("push", webhooks.push("file:///etc", A)),
        403,
        "this connection may not speak of that repository",
    ),
    "ping": (webhooks.github("ping", {"zen": "."}), 200, "tells of no change"),
    "no event": (webhooks.github("", {}), 200, "tells of no change"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_not_to_be_trusted_is_told_why_and_not_kept(
    client: Client, ledger: Ledger, case: str
) -> None:
    delivery, status, said = HOSTILE[case]

    answer = post(client, delivery)

    assert answer[0] == status
    assert answer[1].startswith(said)
    assert ledger.inbox.outcomes() == []


def test_only_posts_to_a_connection_are_answered(client: Client) -> None:
    assert post(client, PUSH, to="other") == (404, "there is no such connection")
    assert client.get("/delivery/hooks/github").status_code == 405
    secret_in_the_query = f"github?secret={KEY}"
    unsigned = PUSH.but(x_hub_signature_256="")
    assert post(client, unsigned, to=secret_in_the_query) == (401, UNSIGNED)


def test_a_body_without_end_is_not_read_to_its_end(client: Client) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1000
            yield b"x" * 1000

    path, headers = "/delivery/hooks/github", PUSH.headers
    answer = client.post(path, content=chunks(), headers=headers)

    claimed = {**headers, "content-length": str(LARGEST + 1)}
    read = sent
    honest = client.post(path, content=chunks(), headers=claimed)

    assert answer.status_code == honest.status_code == 413
    assert read <= LARGEST + 1000
    assert sent == read  # nothing of one that says how large it is


def test_the_next_secret_is_good_before_the_present_one_is_gone(
    client: Client,
) -> None:
    key = "the key of next month"

    answer = post(client, webhooks.github("push", webhooks.push(URL, A), key=key))

    assert answer == (202, "accepted")


def test_without_any_secret_nobody_is_let_in(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    keys = ["env:NO_SUCH_VARIABLE", f"file:{tmp_path}/none", f"file:{tmp_path}/short"]

    client = serving(ledger, keys)
    empty = webhooks.github("push", webhooks.push(URL, A), key="")

    assert post(client, empty) == (503, "no secret can be fetched")


def test_a_sender_that_comes_too_often_is_told_when_to_come_again(
    ledger: Ledger, keys: list[str]
) -> None:
    client = serving(ledger, keys, each_minute=1, burst=3)

    path = "/delivery/hooks/github"
    answers = [client.post(path, content=b"x") for _ in range(4)]

    assert [each.status_code for each in answers] == [415, 415, 415, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


def test_when_too_much_waits_no_more_is_taken(ledger: Ledger, keys: list[str]) -> None:
    client = serving(ledger, keys, waiting=2)

    answers = []
    for number in range(4):
        one = webhooks.github("push", webhooks.push(URL, f"{number + 1:040x}"))
        path = "/delivery/hooks/github"
        answers.append(client.post(path, content=one.body, headers=one.headers))

    assert [each.status_code for each in answers] == [202, 202, 503, 503]
    assert answers[-1].headers["retry-after"] == "30"
    assert ledger.inbox.waiting() == 2


def test_a_late_delivery_of_our_own_form_is_refused(client: Client) -> None:
    data = {"repository": URL, "ref": "refs/heads/main", "revision": B}

    assert post(client, webhooks.signed(data, at=1000), to="ours") == (401, UNSIGNED)


def test_what_is_done_is_forgotten_after_a_while_and_what_waits_is_not(
    client: Client, ledger: Ledger
) -> None:
    post(client, PUSH)
    post(client, webhooks.github("push", webhooks.push(URL, B), id="2"))
    ledger.inbox.done(1, "done")

    assert ledger.inbox.forget(days=1) == 0
    assert ledger.inbox.forget(days=-1) == 1
    assert ledger.inbox.outcomes() == [("2", None)]


def test_a_failed_delivery_is_due_again_later(client: Client, ledger: Ledger) -> None:
    post(client, PUSH)

    ledger.inbox.later(1, "no answer", seconds=60)

    assert ledger.inbox.due(limit=9) == []
    assert ledger.inbox.waiting() == 1
    assert ledger.inbox.outcomes() == [("1", "no answer")]
    assert json.loads(PUSH.body)["after"] == A
