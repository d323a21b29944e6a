"""`deliver` without its start: forks of one process that has everything imported.

For tests of what a command says and does. Those of its start, of signals and of kills
run the program itself. A fork is a process like the program's: with its own words,
folder, environment and streams. Whatever Prefect reads from the environment when it is
imported, the fork reads when the command imports Prefect.
"""

import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from signal import SIGKILL
from types import ModuleType
from typing import Any

PROGRAM = Path(sys.executable).with_name("deliver")
STREAMS = 3
NEED_PREFECT = {"compare"}
"""Modules of commands that import Prefect at once; the others do when they need it."""
AT_START = ("PYTHON", "LANG", "LC_", "TZ", "LD_", "FAKETIME")
"""Beginnings of the variables that count when a program starts, and not later."""


def deliver(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command without a terminal until it has ended.

    Args:
        timeout: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: It took longer.
    """
    (read_out, out), (read_err, err) = os.pipe(), os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    ours, theirs = socket.socketpair()
    with ours, ThreadPoolExecutor(2) as readers:
        said = [readers.submit(_read, end) for end in (read_out, read_err)]
        try:
            forks, _ = _server(_at_start(env))
            socket.send_fds(forks, [b"x"], [nothing, out, err, theirs.fileno()])
        finally:
            theirs.close()
            for stream in (nothing, out, err):
                os.close(stream)
        job = {"words": list(words), "folder": str(cwd), "environment": dict(env)}
        answers = ours.makefile("rw")
        answers.write(json.dumps(job) + "\n")
        answers.flush()
        pid = int(answers.readline())
        ours.settimeout(timeout)
        try:
            code = int(ours.recv(16))
        except TimeoutError:
            os.kill(pid, SIGKILL)
            ours.settimeout(None)
            ours.recv(16)
            raise subprocess.TimeoutExpired(words, timeout or 0) from None
        texts = [each.result() for each in said]
    return subprocess.CompletedProcess([str(PROGRAM), *words], code, *texts)


def _read(end: int) -> str:
    with open(end, encoding="utf-8") as stream:
        return stream.read()


def _at_start(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name, value)
        for name, value in environment.items()
        if name.startswith(AT_START)
    )


@cache
def _server(
    started: frozenset[tuple[str, str]],
) -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """A process that forks, and the way to it; it ends when this process does."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            env={"PATH": os.environ["PATH"], **dict(started)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return ours, process


class _Late(Loader):
    """Hides modules until one of them is imported; then all are there again."""

    def __init__(self, names: list[str]) -> None:
        self._modules = {name: sys.modules.pop(name) for name in names}
        for parent, leaf, _ in self._in_packages():
            delattr(parent, leaf)

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name not in self._modules:
            return None
        sys.meta_path.remove(self)
        for parent, leaf, module in self._in_packages():
            setattr(parent, leaf, module)
        sys.modules.update(self._modules)
        _read_settings()
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = self._modules[spec.name]
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec

    def _in_packages(self) -> Iterator[tuple[ModuleType, str, ModuleType]]:
        """Those that are an attribute of a package that is not hidden."""
        for name, module in self._modules.items():
            package, _, leaf = name.rpartition(".")
            if package in sys.modules and package not in self._modules:
                yield sys.modules[package], leaf, module


def _read_settings() -> None:
    """Let Prefect do anew what it does when it is imported."""
    import prefect.context
    from prefect.logging.configuration import setup_logging

    prefect.context.GLOBAL_SETTINGS_CONTEXT = prefect.context.root_settings_context()
    setup_logging()


def _preload() -> _Late:
    """Import everything; what needs Prefect is hidden."""
    from prefect_delivery.cli.app import COMMANDS

    commands = {target.partition(":")[0] for _, _, target, _ in COMMANDS}
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = os.environ["PREFECT_HOME"] = home
        _load("cli", *sorted(commands - NEED_PREFECT), "drive")
        early = set(sys.modules)
        if "prefect" in early:
            raise RuntimeError("a command needs Prefect that did not: NEED_PREFECT")
        _load("cli", *NEED_PREFECT)
        _load("flows", "pipeline", "run")
    tempfile.tempdir = None
    late = [name for name in sys.modules if name.startswith("prefect")]
    hidden = _Late([name for name in late if name not in early])
    gc.collect()
    gc.freeze()
    return hidden


def _load(package: str, *modules: str) -> None:
    for module in modules:
        importlib.import_module(f"prefect_delivery.{package}.{module}")


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each message; returns the job in a child, None at the end."""
    while True:
        message, given, *_ = socket.recv_fds(control, 1, STREAMS + 1)
        if not message:
            return None
        if os.fork() == 0:
            control.close()
            return _keep(given)
        for each in given:
            os.close(each)
        # Those that have ended are not looked after: nobody asks for them.
        while _has_ended():
            pass


def _has_ended() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _keep(given: list[int]) -> dict[str, Any]:
    """Fork a child, in which the job is returned, and tell how it ends."""
    *streams, told = given
    with socket.socket(fileno=told) as way:
        job: dict[str, Any] = json.loads(way.makefile("r").readline())
        pid = os.fork()
        if pid == 0:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if pid == 0:
            return job
        way.sendall(f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        way.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(job: dict[str, Any]) -> None:
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = [str(PROGRAM), *job["words"]]
    sys.stdout = open(1, "w")  # noqa: SIM115 - they are open to the end
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115


if __name__ == "__main__":
    sys.path[0] = str(PROGRAM.parent)
    hidden = _preload()
    if job := _serve(socket.socket(fileno=int(sys.argv[1]))):
        sys.meta_path.insert(0, hidden)
        _become(job)
        from prefect_delivery.cli import main

        sys.exit(main())  # type: ignore[func-returns-value]  # as the program does
