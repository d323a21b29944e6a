"""What the server gives to actions that run elsewhere, and to nobody else."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from prefect_delivery.actions import Artifact, Outputs
from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.resolve import Call
from prefect_delivery.engine.state import ArtifactRef, Status
from prefect_delivery.ledger import Attempt, Ledger
from prefect_delivery.remote import ERRAND, OUTCOME, Errand, Outcome
from prefect_delivery.server.app import create_app
from prefect_delivery.server.connections import Configuration

TOKEN = "t" * 43
BUILD = {"uses": "build/commands", "runs_on": "docker", "inputs": {"source": "app"}}


@dataclass
class Served:
    """An action that was offered to elsewhere, and the server that serves it."""

    ledger: Ledger
    attempt: Attempt
    key: str
    ticket: str
    input: str
    foreign: str
    token: str = TOKEN

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return anyio.run(self._ask, method, path, more)

    async def _ask(
        self, method: str, path: str, more: dict[str, Any]
    ) -> httpx.Response:
        app = create_app(Configuration(), self.ledger, carry_out=None)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://x/delivery/actions",
            headers={"Authorization": f"Bearer {self.token}"},
        ) as client:
            return await client.request(method, path, **more)

    def take(self, token: str = TOKEN, ticket: str | None = None) -> httpx.Response:
        body = {"ticket": ticket or self.ticket, "token": token}
        return self.ask("POST", "/take", json=body)

    def beat(self, number: int, *lines: str) -> Any:
        body = {"number": number, "lines": [*lines]}
        return self.ask("POST", "/beat", json=body).json()["end"]

    def finish(self, **artifacts: str) -> httpx.Response:
        made = {n: Artifact(digest=d, size=1) for n, d in artifacts.items()}
        outcome = Outcome(outputs=Outputs(artifacts=made))
        return self.ask("POST", "/outcome", content=OUTCOME.dump_json(outcome))


@pytest.fixture
def stores(home: Path, tmp_path: Path) -> ArtifactStore:
    """The server's store."""
    return ArtifactStore(home / "artifacts")


def _stored(store: ArtifactStore, folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "a.txt").write_text(text)
    return store.put(folder)[0]


@pytest.fixture
def served(stores: ArtifactStore, tmp_path: Path) -> Iterator[Served]:
    stage = {"actions": {"package": BUILD}}
    shop = Pipeline.model_validate({"pipeline": "shop", "stages": {"Build": stage}})
    with Ledger.open() as ledger:
        execution = ledger.executions.start(shop, variables={}, started_by="ann")
        attempt = ledger.executions.claim(execution.id, holder="worker", ttl=30)
        ledger.executions.enter_stage(attempt, "Build")
        ledger.executions.begin_action(attempt, "Build", "package", 1)
        source = _stored(stores, tmp_path / "source", "source")
        foreign = _stored(stores, tmp_path / "foreign", "of another pipeline")
        key = f"{execution.id}/Build/package/1"
        call = Call(
            uses="build/commands",
            configuration={
                "secrets": {"TOKEN": "shop-token", "OWN": "env:OWN"},
                "environment": {"TEXT": "bank-token"},
            },
            inputs={"source": ArtifactRef(digest=source, size=6)},
        )
        errand = Errand(
            key=key,
            name="Build / package",
            pipeline="shop",
            execution=execution.id,
            call=call,
        )
        ticket = ledger.remote.offer(key, ERRAND.dump_json(errand).decode())
        assert ticket
        yield Served(ledger, attempt, key, ticket, source, foreign)


def test_a_ticket_is_good_for_one_taker(served: Served) -> None:
    taken = served.take()

    assert ERRAND.validate_json(taken.content).call.uses == "build/commands"
    assert served.take().content == taken.content, "who lost the answer asks again"
    assert served.take(token="another" * 9).status_code == 410
    assert served.ledger.remote.offer(served.key, "{}") is None


def test_an_offer_that_is_made_again_is_the_same(served: Served) -> None:
    assert served.ledger.remote.offer(served.key, "{}") == served.ticket


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/beat"),
        ("POST", "/outcome"),
        ("GET", "/artifacts/{input}"),
        ("PUT", "/artifacts/{input}"),
        ("GET", "/secrets/shop-token"),
    ],
)
def test_nothing_is_given_to_who_has_only_the_ticket(
    served: Served, method: str, path: str
) -> None:
    served.token = served.ticket

    answer = served.ask(
        method, path.format(input=served.input), json={"number": 1, "lines": ["x"]}
    )

    assert answer.status_code == 401 or answer.json() == {"end": "the action has ended"}
    served.take()
    assert served.ledger.remote.lines(served.key) == []


def test_an_action_reads_its_artifacts_and_no_others(
    served: Served, tmp_path: Path
) -> None:
    served.take()

    sent = served.ask("GET", f"/artifacts/{served.input}")
    refused = served.ask("GET", f"/artifacts/{served.foreign}")

    assert sent.status_code == 200
    assert b"source" in sent.content
    assert refused.status_code == 403
    assert b"another" not in refused.content


@pytest.mark.parametrize("name", ["bank-token", "env:OWN", "env:HOME", "PATH"])
def test_an_action_gets_no_secret_but_those_it_refers_to(
    served: Served, name: str
) -> None:
    served.take()

    answer = served.ask("GET", f"/secrets/{name}")

    assert answer.status_code == 403


def test_an_action_leaves_what_it_has_stored_and_no_others(
    served: Served, tmp_path: Path, stores: ArtifactStore
) -> None:
    served.take()
    there = ArtifactStore(tmp_path / "there")
    made = _stored(there, tmp_path / "made", "made")
    url = f"/artifacts/{made}"

    assert served.finish(site=served.foreign).status_code == 403
    assert served.finish(site=made).status_code == 403
    assert served.ask("PUT", url, content=b"what?").status_code == 422
    wrong = b"".join(there.send(made))[:-1] + b"?"
    assert served.ask("PUT", url, content=wrong).status_code == 422
    assert not stores.has(made)
    assert served.ask("PUT", url, content=b"".join(there.send(made))).is_success
    assert stores.has(made)
    assert served.finish(site=made).is_success


def test_an_outcome_is_the_last_that_is_heard(served: Served) -> None:
    served.take()
    assert served.finish().is_success

    assert served.finish().status_code == 401
    assert served.ask("GET", f"/artifacts/{served.input}").status_code == 401
    assert served.beat(1, "more") == "the action has ended"
    stands = served.ledger.remote.find(served.key)
    assert stands
    assert stands.outcome
    assert served.ledger.remote.lines(served.key) == []


def test_what_is_sent_twice_is_logged_once(served: Served) -> None:
    served.take()

    said = [served.beat(1, "a", "b"), served.beat(1, "a", "b"), served.beat(2, "c")]

    assert said == [None] * 3
    lines = served.ledger.remote.lines(served.key)
    assert lines == [(1, "a"), (1, "b"), (2, "c")]
    served.ledger.remote.passed_on(served.key, 1)
    assert served.ledger.remote.lines(served.key) == [(2, "c")]


def test_an_action_hears_that_it_is_to_end(served: Served) -> None:
    served.take()
    assert served.beat(1) is None

    served.ledger.remote.cancel(served.key, "wrong branch")

    assert served.beat(2) == "wrong branch"


def test_an_action_whose_attempt_was_closed_hears_it(served: Served) -> None:
    served.take()

    served.ledger.executions.end_action(
        served.attempt, "Build", "package", 1, Status.STOPPED, error="nobody is left"
    )

    assert served.beat(1) == "the action has ended"


def test_a_cancelled_action_does_not_begin(served: Served) -> None:
    served.ledger.remote.cancel(served.key, "wrong branch")

    assert served.take().status_code == 410


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/take", b"no json", 400),
        ("/take", b'{"ticket": "short", "token": "short"}', 400),
        ("/beat", b'{"number": 0, "lines": []}', 400),
        ("/beat", b'{"number": 1, "lines": [1]}', 400),
        ("/beat", b"[" * (9 << 20), 413),
        ("/outcome", b'{"outputs": {"artifacts": {"a": 1}}}', 400),
    ],
)
def test_what_is_not_understood_changes_nothing(
    served: Served, path: str, body: bytes, status: int
) -> None:
    served.take()

    assert served.ask("POST", path, content=body).status_code == status

    assert served.beat(1) is None


def test_what_is_old_is_forgotten(served: Served) -> None:
    served.take()
    served.beat(1, "a")

    assert served.ledger.remote.forget(days=1) == 0
    assert served.ledger.remote.forget(days=0) == 1
    assert served.ledger.remote.find(served.key) is None
