"""Wait for something real to hold."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    """Look again and again; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)
