"""The process that forks a guard for every command of this one; see `guard`."""

import atexit
import os
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GUARD: Final = Path(__file__).with_name("guard.py")


def launch(control: int, output: int, report: int) -> None:
    """Have a guard started that reads its order from `control`.

    Args:
        control: Descriptor to read from; the guard ends its command when it is closed.
        output: Descriptor that the command writes to.
        report: Descriptor that the guard writes the outcome to; closed when it has
            ended.

    Raises:
        OSError: No process can be started.
    """
    _launcher.send([control, output, report])


def end() -> None:
    """Let go of the process that forks; the next command starts another one."""
    _launcher.end()


@dataclass
class _Resident:
    """The process, and our end of the socket to it."""

    pid: int
    requests: socket.socket

    @classmethod
    def start(cls) -> "_Resident":
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            pid = os.posix_spawn(
                sys.executable,
                # Neither variables nor installed packages have a say in it.
                [sys.executable, "-I", "-S", str(GUARD), str(os.getpid())],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, its.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
            )
        return cls(pid, ours)

    def end(self) -> None:
        # Also where a fork of this process holds it open.
        self.requests.shutdown(socket.SHUT_RDWR)
        self.requests.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


class _Launcher:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resident: _Resident | None = None

    def send(self, descriptors: list[int]) -> None:
        with self._lock:
            try:
                self._send(descriptors)
            except (BrokenPipeError, ConnectionResetError):
                # Somebody has killed it.
                self._let_go()
                self._send(descriptors)

    def _send(self, descriptors: list[int]) -> None:
        if self._resident is None:
            self._resident = _Resident.start()
        socket.send_fds(self._resident.requests, [b"."], descriptors)

    def end(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._resident:
            self._resident.end()
        self._resident = None

    def forget(self) -> None:
        """Called in a fork of this process: what is here is not its own."""
        self._lock = threading.Lock()
        self._resident = None


_launcher: Final = _Launcher()
os.register_at_fork(after_in_child=_launcher.forget)
atexit.register(end)
