"""What becomes of notifications when the endpoint is dead, slow, ill, or comes back."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from git_http import free_port
from listener import DRIP, HANG, Listener, listening

from prefect_delivery import control, outbox
from prefect_delivery.definition import load
from prefect_delivery.ledger import Destination, Ledger
from prefect_delivery.ledger.outbox import GIVEN_UP
from prefect_delivery.outbox import tell_all

BLOCK = "custom-webhook/team"
DEFINITION = f"""
pipeline: shop
notifications:
  - {{to: {BLOCK}, on: [pipeline.started]}}
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: https://git.example/shop}}}}
  Build:
    actions:
      make: {{uses: build/commands, with: {{commands: ["true"]}}}}
"""
ALL = [f"shop #{number} started by ann" for number in range(1, 6)]
said: list[str] = []


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SECONDS", 0.5)
    said.clear()


def start(ledger: Ledger, count: int = 1) -> None:
    definition = load(DEFINITION)
    for _ in range(count):
        control.start(ledger, definition, started_by="ann")


def place(ledger: Ledger) -> Destination:
    [found] = ledger.outbox.list()
    return found


def test_each_is_told_once_and_in_order(ledger: Ledger, unsaved: Listener) -> None:
    start(ledger, 3)

    for _ in range(2):
        tell_all(ledger, said.append)

    assert unsaved.subjects == ALL[:3]
    assert (place(ledger).behind, place(ledger).error) == (0, None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(503, "answers 503", id="ill"),
        pytest.param(404, "answers 404", id="wrong address"),
        pytest.param(HANG, "does not answer in time", id="slow"),
        pytest.param(DRIP, "does not answer in time", id="dripping"),
    ],
)
def test_what_could_not_be_told_is_told_later_and_in_order(
    ledger: Ledger,
    unsaved: Listener,
    clock: list[datetime],
    answer: int,
    error: str,
) -> None:
    start(ledger, 2)
    unsaved.answers = [200, answer, answer]

    tell_all(ledger, said.append)

    assert unsaved.subjects == ALL[:1]
    assert (place(ledger).error, place(ledger).tries) == (error, 1)
    assert said == [f"{BLOCK} is not told: {error}"]

    start(ledger, 3)
    tell_all(ledger, said.append)

    assert unsaved.asked == 2, "it was asked again too soon"

    clock[0] += timedelta(seconds=6)
    tell_all(ledger, said.append)

    assert (unsaved.asked, place(ledger).tries, len(said)) == (3, 2, 1)

    clock[0] += timedelta(seconds=11)
    tell_all(ledger, said.append)

    assert unsaved.subjects == ALL
    assert place(ledger).error is None


def test_one_that_is_dead_for_hours_hears_of_all_when_it_lives_again(
    ledger: Ledger, unsaved: Listener, clock: list[datetime]
) -> None:
    alive, unsaved.port = unsaved.port, free_port()

    for _ in range(5):
        start(ledger)
        for _ in range(3):
            clock[0] += timedelta(hours=1)
            tell_all(ledger, said.append)

    assert place(ledger).tries == 15
    assert place(ledger).error == "cannot be reached: ConnectError"
    assert len(said) == 1

    unsaved.port = alive
    clock[0] += timedelta(minutes=6)
    tell_all(ledger, said.append)

    assert unsaved.subjects == ALL


def test_the_address_of_an_endpoint_is_written_nowhere(
    ledger: Ledger, unsaved: Listener, home: Path
) -> None:
    start(ledger, 2)
    unsaved.answers = [422, 500]

    tell_all(ledger, said.append)

    assert len(said) == 2
    files = [path.read_bytes() for path in home.iterdir()]
    assert not any(b"t0ps3cret" in text for text in [*files, str(said).encode()])


def test_what_is_refused_is_given_up_and_the_next_is_told(
    ledger: Ledger, unsaved: Listener
) -> None:
    start(ledger, 2)
    unsaved.answers = [422]

    tell_all(ledger, said.append)

    assert unsaved.subjects == ALL[1:2]
    [entry] = ledger.audit.entries(subject="shop #1")[:1]
    reason = "pipeline.started: answers 422"
    assert (entry.verb, entry.detail["to"]) == (GIVEN_UP, BLOCK)
    assert entry.detail["reason"] == reason
    assert said == [f"{BLOCK} is never told of shop #1, {reason}"]


def test_what_is_no_news_any_more_is_given_up(
    ledger: Ledger, unsaved: Listener, clock: list[datetime]
) -> None:
    now = clock[0]
    clock[0] = now - timedelta(days=4)
    start(ledger, 2)
    clock[0] = now
    start(ledger)

    tell_all(ledger, said.append)

    assert unsaved.subjects == ALL[2:3]
    given_up = ledger.outbox.given_up(limit=9)
    assert [entry.subject for entry in given_up] == ["shop #2", "shop #1"]


def test_one_that_hangs_holds_up_no_other(
    ledger: Ledger, unsaved: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(ledger)
    two = DEFINITION.replace("pipeline: shop", "pipeline: blog")
    definition = load(two.replace(BLOCK, "custom-webhook/other"))
    well = Listener()
    block_of = {BLOCK: unsaved, "custom-webhook/other": well}

    async def load_block(name: str) -> object:
        return block_of[name].block()

    monkeypatch.setattr("prefect_delivery.channels._load", load_block)
    control.start(ledger, definition, started_by="ann")
    unsaved.answers = [HANG]

    with listening(well):
        tell_all(ledger, said.append)

    assert well.subjects == ["blog #1 started by ann"]
    assert unsaved.subjects == []
