"""Processes of the tests' own, made by fork so that they start at once."""

import os
import signal
import sys
import traceback
from collections.abc import Callable


class Child:
    """Another process that runs a function; it exits with 0 when that returns."""

    def __init__(self, function: Callable[[], object]) -> None:
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run(function)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Freeze it, and return when it is frozen."""
        os.kill(self.pid, signal.SIGSTOP)
        self.wait_until_frozen()

    def wait_until_frozen(self) -> None:
        os.waitpid(self.pid, os.WUNTRACED)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Its exit code; negative when a signal ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _run(function: Callable[[], object]) -> None:
    code = 1
    try:
        function()
        code = 0
    except BaseException:  # noqa: BLE001, the parent sees the exit code
        traceback.print_exc()
    finally:
        os._exit(code)
