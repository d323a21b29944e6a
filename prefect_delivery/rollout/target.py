"""What a rollout asks of an environment."""

import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol

from prefect_delivery.ledger import Release
from prefect_delivery.rollout.plan import Strategy

HookTime = Literal["before", "after", "on_rollback"]


class Target(Protocol):
    """An environment, as the driver sees it.

    Every verb may be repeated: done twice, or again after being killed half-way, it
    leaves what doing it once leaves. Those that take a `fence` change nothing and raise
    `LeaseLost` when the target has seen a higher one.
    """

    @property
    def kind(self) -> str: ...

    @property
    def bake(self) -> float:
        """Minutes of checks under full traffic before the commit."""
        ...

    @property
    def chosen_strategy(self) -> Strategy: ...

    @property
    def has_traffic(self) -> bool:
        """Whether `shift` can give a release a part of the traffic."""
        ...

    def configuration(self) -> dict[str, Any]:
        """What makes this environment again, without secrets."""
        ...

    def observe(self) -> str | None:
        """Digest of the release that fully serves; None when none does."""
        ...

    def prepare(self, release: Release, fence: int) -> None:
        """Bring the release to the target and have it ready, without traffic."""
        ...

    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Give the release this share of the traffic, the others the rest."""
        ...

    def verify(self, release: Release, percent: float) -> None:
        """Check the release, which has this share of the traffic."""
        ...

    def commit(self, release: Release, fence: int) -> None:
        """Make the release, which has all traffic, the current one; stop the others."""
        ...

    def discard(self, release: Release, fence: int) -> None:
        """Take the release off the target."""
        ...

    @property
    def can_shut_down(self) -> bool:
        """Whether something runs there that can be stopped."""
        ...

    def shut_down(self, fence: int) -> None:
        """Stop all that runs; the next rollout starts what it needs again."""
        ...

    def run_hooks(
        self,
        when: HookTime,
        release: Release,
        *,
        environment: str,
        log: Callable[[str], None],
        cancelled: threading.Event | None = None,
    ) -> None:
        """Run the commands that a person has set for this moment."""
        ...
