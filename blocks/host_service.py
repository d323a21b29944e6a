"""A command that is kept running on this machine after the rollout has ended."""

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from prefect_delivery import service
from prefect_delivery.errors import ActionFailed
from prefect_delivery.process import clean_environment
from prefect_delivery.service import MARKER, State, start_of

_MARGIN = 5.0
"""Seconds that a supervisor gets beyond its command's grace."""
_PORTS = range(20_000, 32_000)
"""Below the range that Linux takes outgoing connections from."""


class Instance:
    """One supervised command; its folder holds its state, its log and its lock.

    Args:
        folder: Made when needed; identifies the instance.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / "service.log"

    def state(self) -> State | None:
        """What the supervisor says; None when it does not run."""
        try:
            text = (self.folder / "state.json").read_text()
        except FileNotFoundError:
            return None
        state = cast("State", json.loads(text))
        return state if start_of(state["pid"]) == state["started"] else None

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        grace: float,
    ) -> None:
        """Start the command under a supervisor, unless it is supervised already.

        Args:
            grace: Seconds between the request to end and the kill.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._descriptor() as lock:
            deadline = time.monotonic() + grace + _MARGIN
            while not _try_lock(lock):
                if not self._is_stopping() or time.monotonic() > deadline:
                    return
                time.sleep(0.01)
            self._end_strays()
            # The lock goes over to the supervisor, so there is no moment in which one
            # is on its way and nobody knows.
            self._spawn(command, cwd, environment, grace, lock)

    def stop(self, grace: float) -> None:
        """End the command and all that came of it.

        Args:
            grace: The grace that it was started with.

        Raises:
            ActionFailed: Something of it cannot be ended.
        """
        if not self.folder.is_dir():
            return
        with self._descriptor() as lock:
            deadline = time.monotonic() + grace + _MARGIN
            number: int = signal.SIGTERM
            while not _try_lock(lock):
                if time.monotonic() > deadline + _MARGIN:
                    raise ActionFailed(f"what runs for {self.folder} does not end")
                if time.monotonic() > deadline:
                    number = signal.SIGKILL
                self._signal(number)
                time.sleep(0.01)
            self._end_strays()
            (self.folder / "state.json").unlink(missing_ok=True)

    def last_lines(self) -> str:
        """The end of the log, to explain a failure."""
        try:
            lines = self.log.read_bytes()[-2000:].decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(line for line in lines[-10:] if line.strip())

    def _is_stopping(self) -> bool:
        state = self.state()
        return state is not None and state["stopping"]

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield lock
        finally:
            os.close(lock)

    def _spawn(
        self,
        command: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        grace: float,
        lock: int,
    ) -> None:
        for stale in (self.folder / "state.json", self.log):
            stale.unlink(missing_ok=True)
        marked = {**environment, MARKER: str(self.folder)}
        program = [sys.executable, "-I", "-S", service.__file__]
        subprocess.run(
            [*program, str(self.folder), str(lock), str(grace), *command],
            cwd=cwd,
            env=marked,
            pass_fds=[lock],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )

    def _signal(self, number: int) -> None:
        state = self.state()
        if state:
            _kill(state["pid"], number)

    def _end_strays(self) -> None:
        """Kill what a killed supervisor has left behind."""
        mark = f"{MARKER}={self.folder}".encode()
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                marked = mark in environ.read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if marked and environ.parent.name != str(os.getpid()):
                _kill(int(environ.parent.name), signal.SIGKILL)


def service_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of something that runs on and is no build."""
    kept = clean_environment(extra)
    return kept if "CI" in extra else {k: v for k, v in kept.items() if k != "CI"}


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    for port in random.sample(_PORTS, 100):
        if is_free(port):
            return port
    raise ActionFailed(f"no port is free from {_PORTS.start} to {_PORTS.stop}")


def check_port(host: str, port: int) -> None:
    """Make sure that a port could be listened on.

    Raises:
        ActionFailed: Something listens on it.
    """
    if not is_free(port, host):
        raise ActionFailed(
            f"port {port} of {host} is in use by another program",
            hint=f"end it (see: ss -ltnp 'sport = :{port}'), or choose another port",
        )


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a port could be listened on."""
    with socket.socket() as probe:
        # Connections that have ended keep no server from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # gone meanwhile
