"""How often a sender may come."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_SENDERS = 10_000
"""That are remembered. One who is forgotten begins anew, with a full bucket."""


class Limits:
    """A bucket of tokens for each sender, which fills at a steady rate.

    Args:
        each_minute: Requests that a sender may go on with.
        burst: Requests that may come at once.
    """

    def __init__(
        self,
        *,
        each_minute: int,
        burst: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = each_minute / 60
        self._burst = burst
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def pause(self, sender: str) -> float:
        """Take a token of a sender; the seconds to wait when there is none, else 0."""
        now = self._now()
        tokens, since = self._buckets.pop(sender, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        allowed = tokens >= 1
        self._buckets[sender] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MOST_SENDERS:
            self._buckets.popitem(last=False)
        return 0 if allowed else (1 - tokens) / self._rate
