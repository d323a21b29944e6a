"""Row 33: an outside service does what it is asked to, and then the connection breaks,
times out or answers 503; or our process is killed before it notes the id.

The same request is made again under the same idempotency token, so the service does it
once. When it stays unknown, the action fails, says so and is not retried by itself.

pytest tests/faults/test_row_33_timeout_after_effect.py -k "seed17-"
"""

import os
import random
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from auditor import audit
from processes import Child
from seeds import seeded

from prefect_delivery import actions
from prefect_delivery.actions import ActionFailed, Job
from prefect_delivery.ledger import Ledger

FAULTS = ["cut", "silence", "error"]


class Service:
    """Builds that are started by POST with a token; a double, since no real service
    fails on request. As many requests as `faults` says act and then fail."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.faults: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                token = self.headers["Idempotency-Token"]
                if token not in service.effects:
                    service.effects.append(token)
                match service.faults.pop(0) if service.faults else None:
                    case "cut":
                        self.close_connection = True
                    case "silence":
                        service.over.wait(5)
                    case "error":
                        self.send_error(503)
                    case _:
                        self.answer(f"build-{service.effects.index(token)}")

            def do_GET(self) -> None:
                self.answer("done")

            def answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


class Unavailable(OSError):
    """The service answered with an error of its own."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(actions, "PAUSES", (0.01, 0.01, 0.01))
    made = Service()
    yield made
    made.over.set()
    made.server.shutdown()
    made.server.server_close()


def start(url: str, token: str) -> str:
    answer = httpx.post(url, headers={"Idempotency-Token": token}, timeout=0.3)
    if answer.status_code >= 500:
        raise Unavailable(f"{answer.status_code}")
    return answer.text


def build(service: Service, ledger: Ledger, key: str) -> str:
    """What an action does that runs a build elsewhere."""
    job = Job(key=key, external=ledger.executions, log=print)
    started = job.start_or_attach(lambda: start(service.url, job.key))
    job.poll(lambda: httpx.get(f"{service.url}/{started}").text or None, interval=0.01)
    return started


@seeded()
def test_what_was_started_unseen_is_not_started_again(
    home: object, service: Service, seed: str
) -> None:
    chance, ledger, key = random.Random(seed), Ledger.open(), f"{seed}/Build/run/1"
    service.faults = chance.choices(FAULTS, k=chance.randint(0, 3))
    if chance.random() < 0.5:
        killed = Child(lambda: die_before_the_note(service, key)).wait()
        assert killed == -signal.SIGKILL

    first = build(service, Ledger.open(), key)
    again = build(service, ledger, key)

    assert first == again == "build-0"
    assert ledger.executions.external_id(key) == first
    audit(ledger, effects=service.effects)
    assert service.effects == [key]


def die_before_the_note(service: Service, key: str) -> None:
    ledger = Ledger.open()
    job = Job(key=key, external=ledger.executions, log=print)

    def start_and_die() -> str:
        try:
            return start(service.url, key)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    job.start_or_attach(start_and_die)


@seeded()
def test_what_stays_unknown_is_not_retried_blindly(
    home: object, service: Service, seed: str
) -> None:
    service.faults = [random.Random(seed).choice(["cut", "error"])] * 4
    ledger = Ledger.open()
    job = Job(key="e1/Build/run/1", external=ledger.executions, log=print)

    with pytest.raises(ActionFailed, match="nobody knows whether it was started"):
        job.start_or_attach(lambda: start(service.url, job.key))

    assert not job.retryable
    assert ledger.executions.external_id(job.key) is None
    audit(ledger, effects=service.effects)
