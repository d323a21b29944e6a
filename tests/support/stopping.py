"""A ledger that has something done at a chosen write of the rollout's journal."""

from collections.abc import Callable
from typing import Any

from deadly import Deadly

from prefect_delivery.ledger import Ledger


class Interrupted(Deadly):
    """Calls `act` before the write of that number, and lives on.

    Args:
        at: Number of the write, from 1.
    """

    def __init__(self, ledger: Ledger, at: int, act: Callable[[], object]) -> None:
        super().__init__(ledger, at)
        self._act = act

    def call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        self.writes += 1
        if self.writes == self._at:
            self._act()
        return method(*args, **kwargs)
