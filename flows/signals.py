"""Signals that tell a process to end, heeded by the loop that runs in it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def taken(interrupt: Callable[[str], None]) -> Iterator[None]:
    """Inside of it, signals call `interrupt` with their name, and do nothing else."""
    if not _in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, interrupt, signal.Signals(number).name)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@contextmanager
def not_missed(told: Callable[[], None]) -> Iterator[None]:
    """Inside of it, SIGTERM calls `told`, besides what it does anyway.

    Prefect's handler raises an exception wherever the main thread happens to be; in a
    callback or another task of the event loop nobody would see it. The handler itself
    has to stay: Prefect tells a cancellation only to a process that has it.
    """
    if not _in_main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told)
    signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
