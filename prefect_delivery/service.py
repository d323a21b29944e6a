"""Keep one command running, whoever started it and whatever becomes of them.

Run by path, on the standard library alone, so that it starts in milliseconds and no
installed package can break it: `python -I -S service.py FOLDER LOCK GRACE COMMAND...`

- FOLDER gets `state.json` (see `State`) and `service.log`.
- LOCK is the number of an inherited, locked file descriptor. It stays locked for as long
  as anything runs here, so nobody has to trust a process number.
- GRACE is how many seconds the command has between SIGTERM and SIGKILL.

A command that ends is started again, after 0.1 s at first and at most 10 s. SIGTERM ends
the command and everything it has started; the death of this process ends the command.
Sources: prctl(2) PR_SET_CHILD_SUBREAPER and PR_SET_PDEATHSIG, proc(5).
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TypedDict

LOG_LIMIT = 50_000_000
"""Bytes of `service.log` before it is moved to `service.log.1`."""
MARKER = "PREFECT_DELIVERY_SERVICE"
"""Environment variable that names the folder in every process started for it."""

_PDEATHSIG, _SUBREAPER = 1, 36
_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY = 0.1, 10.0, 10.0
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class State(TypedDict):
    """What `state.json` says.

    Attributes:
        pid: Process number of this supervisor.
        started: Its start time in clock ticks since boot; see `start_of`.
        port: The environment variable PORT of the command, as a number.
        child: Process number of the command; None while it does not run.
        starts: How often the command was started.
        exit: How it ended the last time, such as `code 3` or `signal 9`.
        crashed: When that was, in seconds of the monotonic clock.
        stopping: Whether it was told to stop.
    """

    pid: int
    started: int
    port: int | None
    child: int | None
    starts: int
    exit: str | None
    crashed: float | None
    stopping: bool


def start_of(pid: int) -> int | None:
    """Start time of a living process, which tells it from a later one of its number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the command's name, may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


class Supervisor:
    """Runs one command until it is told to stop."""

    def __init__(self, folder: Path, grace: float, command: list[str]) -> None:
        self._folder = folder
        self._grace = grace
        self._command = command
        self._stopping = False
        port = os.environ.get("PORT", "")
        self._state: State = {
            "pid": os.getpid(),
            "started": start_of(os.getpid()) or 0,
            "port": int(port) if port.isdecimal() else None,
            "child": None,
            "starts": 0,
            "exit": None,
            "crashed": None,
            "stopping": False,
        }

    def run(self) -> None:
        pause = _FIRST_PAUSE
        self._save()
        while not self._stopping:
            began = time.monotonic()
            child = self._start()
            self._wait_for(child)
            self._end_all(child)
            if time.monotonic() - began > _STEADY:
                pause = _FIRST_PAUSE
            self._wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _start(self) -> int:
        self._limit_log()
        child = os.fork()
        if child == 0:
            _become(self._command, self._state["pid"])
        self._state["child"] = child
        self._state["starts"] += 1
        self._save()
        return child

    def _wait_for(self, child: int) -> None:
        """Return when the command has ended or shall be stopped."""
        while not self._stopping and self._state["child"] is not None:
            self._wait(60)
            self._limit_log()
            self._reap(child)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            got = signal.sigtimedwait(_SIGNALS, left)
            if got is None or got.si_signo == signal.SIGCHLD:
                return
            self._stopping = self._state["stopping"] = True
            self._save()

    def _end_all(self, child: int) -> None:
        """End what the command has left behind, politely first."""
        _signal_group(child, signal.SIGTERM)
        if not self._reap_all(child, self._grace):
            while not self._reap_all(child, 0.05):
                for pid in _children():
                    os.kill(pid, signal.SIGKILL)

    def _reap_all(self, child: int, seconds: float) -> bool:
        """Wait until no process is left; False when one is after `seconds`."""
        deadline = time.monotonic() + seconds
        while self._reap(child):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            signal.sigtimedwait({signal.SIGCHLD}, left)
        return True

    def _reap(self, child: int) -> bool:
        """Collect processes that have ended; whether any is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == child:
                    self._note_end(status)
        except ChildProcessError:
            return False

    def _note_end(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._state["child"] = None
        self._state["exit"] = f"code {code}" if code >= 0 else f"signal {-code}"
        self._state["crashed"] = time.monotonic()
        self._save()

    def _save(self) -> None:
        new = self._folder / "state.json.new"
        new.write_text(json.dumps(self._state))
        new.replace(self._folder / "state.json")

    def _limit_log(self) -> None:
        log = self._folder / "service.log"
        if log.stat().st_size > LOG_LIMIT:
            shutil.copyfile(log, self._folder / "service.log.1")
            os.truncate(log, 0)


def _become(command: list[str], supervisor: int) -> None:
    """In the new process: turn into the command."""
    os.setsid()
    _prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _children() -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(stat.parent.name))
    return found


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it, or only what has changed its user


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _redirect(log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in [(nothing, 0), (output, 1), (output, 2)]:
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)


def main(arguments: list[str]) -> None:
    folder, lock, grace, *command = arguments
    # The starter waits for the first process only; the second one is nobody's child.
    if os.fork():
        os._exit(0)
    os.setsid()
    os.set_inheritable(int(lock), False)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _prctl(_SUBREAPER, 1)
    _redirect(Path(folder) / "service.log")
    Supervisor(Path(folder), float(grace), command).run()


if __name__ == "__main__":
    main(sys.argv[1:])
