"""Fork processes that have everything imported, for `nursery`; one program of its own.

`python -m prefect_delivery.deployments.forker SOCKET MODULE...` imports the modules,
says `ready`, and forks once for each message on the socket. A message brings a file
descriptor: the child reads its job from there. What is said back:

- `ready`, then for each message `born PID`, and for each child `ended PID STATUS`.

The socket is the worker's life line. When it closes, all children are told to end, and
killed after a while; when this process is killed, the kernel tells them. A child is an
interpreter like any other: it leads a session and a process group, has default signals,
and runs at its end what was registered for that. What is left of its group then is
killed.
Sources: fork(2), unix(7) SCM_RIGHTS, prctl(2) PR_SET_PDEATHSIG.
"""

import ctypes
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol, cast

GRACE = 30.0
"""Seconds that children have to end when the worker is gone."""
DYING = 1.0
"""Seconds that a worker which was killed may take to be dead."""

_PDEATHSIG = 1


class Bearer(Protocol):
    """A module that knows what the children do."""

    def live(self, job: socket.socket) -> None:
        """Wait for a job on `job`, and do it."""
        ...


def main(arguments: list[str]) -> None:
    """Serve until the socket closes; in a child, live its life.

    Args:
        arguments: The number of the socket, the module with `live`, more to import.
    """
    control = socket.socket(fileno=int(arguments[0]))
    modules = [importlib.import_module(name) for name in arguments[1:]]
    # What is imported stays: the collector must not touch, and so copy, its pages.
    gc.collect()
    gc.freeze()
    job = _serve(control)
    if job is not None:
        cast("Bearer", modules[0]).live(job)


def _serve(control: socket.socket) -> socket.socket | None:
    """Fork when told to; returns the job's socket in a child, None at the end."""
    # A service manager may tell a whole group to end: our children then end first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    worker = os.getppid()
    ended, ending = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ending, warn_on_full_buffer=False)
    parent = os.getpid()
    children: set[int] = set()
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        ready.register(ended, selectors.EVENT_READ)
        _say(control, "ready")
        while True:
            for key, _ in ready.select():
                if key.fd == ended:
                    os.read(ended, 4096)
                    for pid, code in _reap(children):
                        _say(control, f"ended {pid} {code}")
                    continue
                message, given, *_ = socket.recv_fds(control, 1, 1)
                if not message:
                    _end(children, worker)
                    return None
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    os.close(ended)
                    os.close(ending)
                    control.close()
                    _begin(parent)
                    return socket.socket(fileno=given[0])
                os.close(given[0])
                children.add(pid)
                _say(control, f"born {pid}")


def _say(control: socket.socket, message: str) -> None:
    # Where nobody listens any more, the next look at the socket says so.
    with suppress(OSError):
        control.send(message.encode())


def _reap(children: set[int]) -> Iterator[tuple[int, int]]:
    """Take leave of children that have ended: their numbers and exit codes."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        signal_group(pid, signal.SIGKILL)
        yield pid, os.waitstatus_to_exitcode(status)


def _end(children: set[int], worker: int) -> None:
    """End all children, politely first."""
    # They ask whether it lives, and a dying process closes its files before it is dead.
    patience = time.monotonic() + DYING
    while children and os.getppid() == worker and time.monotonic() < patience:
        time.sleep(0.01)
    for pid in children:
        signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while children:
        if time.monotonic() > deadline:
            for pid in children:
                signal_group(pid, signal.SIGKILL)
        for _ in _reap(children):
            pass
        time.sleep(0.05)


def signal_group(leader: int, number: int) -> None:
    """Signal a process and what else is in its group; nobody may be left in it."""
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def _begin(parent: int) -> None:
    """In the child: become a process of its own that does not outlive its parent."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
