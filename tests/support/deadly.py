"""A ledger whose process dies at a chosen write of the rollout's journal."""

import os
import signal
from typing import Any, Literal

from prefect_delivery.ledger import Ledger

Moment = Literal["before", "after"]
WRITES = {"take", "release", "open", "intend", "record", "close"}


class Deadly:
    """Counts the writes to the journal and the leases.

    Args:
        at: Number of the write, from 1, at which this process is killed.
        moment: Whether it dies before the write or after it.
        by: The signal that it gets there.
    """

    def __init__(
        self,
        ledger: Ledger,
        at: int = 0,
        moment: Moment = "before",
        by: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._by = by
        self._at = at
        self._moment = moment
        self.writes = 0
        ledger.rollouts = _Room(self, ledger.rollouts)  # type: ignore[assignment]
        ledger.leases = _Room(self, ledger.leases)  # type: ignore[assignment]

    def call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        self.writes += 1
        if self.writes == self._at and self._moment == "before":
            os.kill(os.getpid(), self._by)
        result = method(*args, **kwargs)
        if self.writes == self._at:
            os.kill(os.getpid(), self._by)
        return result


class _Room:
    def __init__(self, deadly: Deadly, room: Any) -> None:
        self._deadly = deadly
        self._room = room

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._room, name)
        if name not in WRITES:
            return method
        return lambda *args, **kwargs: self._deadly.call(method, *args, **kwargs)
