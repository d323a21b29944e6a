"""A clock that is moved under processes of the tests' own.

Usage: moved_clock.py, by the library faketime

Reads `[environment, what, arguments...]` as JSON, a line each. `drive ID` and `reconcile`
fork a process that does it, so that what they need is loaded once, and print its id;
`wait PID` waits for it and prints its exit code.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Self

from prefect_delivery.flows.reconcile import set_right
from prefect_delivery.flows.run import Watch, run_execution
from prefect_delivery.ledger import Ledger


class MovedClock:
    """The clock, and the process that forks those that go by it.

    Args:
        library: Of faketime.
        file: Holds the time.
    """

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.set("+0")
        moved = {
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "LD_PRELOAD": str(library),
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, **moved},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def set(self, time: str) -> None:
        """Move it: `+3600`, or `@2026-03-29 01:59:59` for a moment to go on from."""
        new = self._file.with_name("new")
        new.write_text(f"{time}\n")
        new.replace(self._file)

    def start(self, what: str, *arguments: str, zone: str = "UTC") -> int:
        """Start a process that goes by it, with the environment as it is now."""
        return self._ask(dict(os.environ) | {"TZ": zone}, what, *arguments)

    def wait(self, pid: int) -> int:
        """The exit code of a process, once it has ended."""
        return self._ask({}, "wait", str(pid))

    def _ask(self, environment: dict[str, str], *what: str) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{json.dumps([environment, *what])}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def fork(environment: dict[str, str], what: str, *arguments: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        # What it prints is no answer, and what is asked is not for it.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.environ.update(environment)
        time.tzset()
        if what == "drive":
            drive(*arguments)
        else:
            set_right(Ledger.open(), print)
        code = 0
    except BaseException:  # noqa: BLE001, whoever waits for it sees the exit code
        traceback.print_exc()
    finally:
        os._exit(code)


def drive(execution_id: str) -> None:
    watch = Watch(lambda _: None, lambda _action, _line: None)
    run_execution(execution_id, watch, local=True)


if __name__ == "__main__":
    for line in sys.stdin:
        environment, what, *arguments = json.loads(line)
        if what == "wait":
            done = os.waitstatus_to_exitcode(os.waitpid(int(arguments[0]), 0)[1])
        else:
            done = fork(environment, what, *arguments)
        print(done, flush=True)
