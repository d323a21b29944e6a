"""Let only the newest lease change a folder of this machine."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect_delivery.errors import ActionFailed, LeaseLost
from prefect_delivery.service import start_of

_PATIENCE = 60.0
"""Seconds to wait for somebody who is in the middle of a change."""


class Fence:
    """The highest fencing token that a folder has seen, in a file in it.

    A change is made with the file locked, so that no other change can come between the
    look at the token and the change itself.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / ".fence"

    @contextmanager
    def held(self, token: int) -> Iterator[None]:
        """Keep everybody else from changing the folder.

        Raises:
            LeaseLost: The folder has seen a higher token.
            ActionFailed: Somebody else's change does not end.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock(lock, token)
            seen, _ = _read(lock)
            if seen > token:
                raise self._lost(token, seen)
            _write(lock, token)
            yield
        finally:
            os.close(lock)

    def _lock(self, lock: int, token: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(lock):
            holder = _holder(lock) or _read(lock)[1]
            if _is_stopped(holder):
                # Only now, when it writes no more.
                seen, owner = _read(lock)
                # A process that was stopped in the middle of a change would make it
                # the moment it goes on, lease or no lease. One that has not written
                # its name yet has changed nothing under its lease, whichever that is.
                if seen < token or holder != owner:
                    os.kill(holder, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise ActionFailed(f"process {holder} is still changing {self._root}")
            time.sleep(0.01)

    def _lost(self, token: int, seen: int) -> LeaseLost:
        return LeaseLost(
            f"{self._root} was changed under lease {seen}; lease {token} is older",
            hint=f"if its ledger was replaced, remove {self._file}",
        )


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(lock: int) -> tuple[int, int]:
    """The highest token, and the process number of who wrote it if it still lives."""
    numbers = [int(word) for word in os.pread(lock, 100, 0).split()]
    if len(numbers) != 3:
        return 0, 0
    token, pid, start = numbers
    return token, pid if start_of(pid) == start else 0


def _write(lock: int, token: int) -> None:
    pid = os.getpid()
    # One write of fixed length: a crash leaves the old line or the new one.
    os.pwrite(lock, f"{token:020} {pid:020} {start_of(pid) or 0:020}\n".encode(), 0)


def _holder(lock: int) -> int:
    """The process that has the file locked; 0 when that cannot be seen.

    Source: proc_locks(5).
    """
    ours = os.fstat(lock)
    for line in Path("/proc/locks").read_text().splitlines():
        match line.split():
            case [_, "FLOCK", _, "WRITE", pid, place, *_]:
                same = place.rpartition(":")[2] == str(ours.st_ino)
                # Files of other file systems may have the same number.
                if same and _has_open(int(pid), ours):
                    return int(pid)
    return 0


def _has_open(pid: int, file: os.stat_result) -> bool:
    try:
        return any(
            os.path.samestat(descriptor.stat(), file)
            for descriptor in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def _is_stopped(pid: int) -> bool:
    if not pid:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
