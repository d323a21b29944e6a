"""Row 47: what is to be notified is down, slow or ill, and the sender is killed (SIGKILL)
before or after any of its writes, or while the endpoint has heard and not yet answered.

No deployment waits for it. Another sender takes the turn of the dead one at once, and
goes on where that one has noted that it was: the endpoint hears of everything, in order;
of what was sent and not noted twice, under the same id. 13 seeds have every moment.

pytest tests/faults/test_row_47_endpoint_down.py -k "seed17-"
"""

import os
import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from deployed import until
from listener import HEAR, Listener, listening
from prefect.settings import PREFECT_API_URL, temporary_settings
from processes import Child
from seeds import number_of, seeded

from prefect_delivery import channels, control, outbox
from prefect_delivery.definition import load
from prefect_delivery.ledger import Ledger
from prefect_delivery.outbox import tell_all

BLOCK: Final = "custom-webhook/team"
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
COUNT: Final = 3
WRITES: Final = ["take", *["told"] * COUNT, "leave"]
MOMENTS: Final = [
    *((at, moment) for at in range(len(WRITES)) for moment in ("before", "after")),
    *((at, "heard") for at in range(COUNT)),
]


class _Deadly:
    """Kills its process before or after one of the writes that a sender does."""

    def __init__(self, room: Any, at: int, moment: str) -> None:
        self._room, self._at, self._moment, self._writes = room, at, moment, -1

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._room, name)
        if name not in WRITES:
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._writes += 1
            mine = self._writes == self._at
            if mine and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(*args, **kwargs)
            if mine and self._moment == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


@pytest.fixture
def listener(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """An endpoint by a block of Prefect's, that no server has to keep."""
    made = Listener()

    async def load_block(name: str) -> object:
        return made.block()

    monkeypatch.setattr(channels, "_load", load_block)
    monkeypatch.setattr(outbox, "SECONDS", 1.0)
    api = {PREFECT_API_URL: "http://127.0.0.1:9/api"}
    with temporary_settings(api), listening(made):
        yield made


@seeded()
def test_a_sender_that_is_killed_loses_nothing_and_changes_no_order(
    listener: Listener, home: Path, seed: str
) -> None:
    at, moment = MOMENTS[number_of(seed) * 5 % len(MOMENTS)]
    clock = [datetime.now(UTC)]
    home.mkdir()

    def opened() -> Ledger:
        return Ledger(f"sqlite:///{home / 'ledger.db'}", now=lambda: clock[0])

    def die() -> None:
        ledger = opened()
        if moment != "heard":
            ledger.outbox = _Deadly(ledger.outbox, at, moment)  # type: ignore[assignment]
        tell_all(ledger)

    with opened() as ledger:
        for _ in range(COUNT):
            control.start(ledger, load(DEFINITION), started_by="ann")
    if moment == "heard":
        listener.answers = [200] * at + [HEAR]
    child = Child(die)
    if moment == "heard":
        until(lambda: len(listener.heard) == at + 1, "the endpoint")
        child.kill()
    assert child.wait() == -signal.SIGKILL

    with opened() as ledger:
        if random.Random(seed).random() < 0.5:
            listener.answers = [503]
            tell_all(ledger)
            clock[0] += timedelta(minutes=1)
        tell_all(ledger)

        # A message's id is in its last line; of two with one id, the first counts.
        last = {body.splitlines()[-1]: said for said, body in listener.heard[::-1]}
        in_order = list(last.values())[::-1]
        assert in_order == [f"shop #{n} started by ann" for n in range(1, COUNT + 1)]
        twice = len(listener.heard) - COUNT
        assert twice == (
            (moment, WRITES[at]) == ("before", "told") or moment == "heard"
        )
        ledger.audit.verify()
