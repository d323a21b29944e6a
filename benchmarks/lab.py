"""What contenders share: folders, a sample project, tools, and how to install peers."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from benchmarks.harness import Missing
from benchmarks.sample import make_repository, make_small_repository

STEPS = Path(__file__).with_name("steps")
BIN = Path(sys.executable).parent
LIMIT = 180.0
"""Seconds that one run may take at the most."""
START = 300.0
"""Seconds that a daemon may take to start."""


@dataclass(eq=False)
class Lab:
    """A folder in which all happens, and what was installed before it.

    Attributes:
        folder: Removed at the end.
        cache: What is installed stays there.
    """

    folder: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="delivery-bench-"))
    )
    cache: Path = field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            / "prefect-delivery-bench"
        )
    )
    _started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    _more: list[Path] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.repository = self.folder / "sample.git"
        self.commit = make_repository(self.repository)
        self.small = self.folder / "small.git"
        make_small_repository(self.small)
        self.tools = self.venv("tools", "setuptools>=70", "wheel", "pytest>=8")
        return self

    def __exit__(self, *ended: object) -> None:
        for process in reversed(self._started):
            end(process)
        for folder in (self.folder, *self._more):
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, folder: Path) -> None:
        """Remove another folder, too, at the end."""
        self._more.append(folder)

    def environment(self, peer: str) -> dict[str, str]:
        """What the steps and the daemons of a peer get."""
        return {
            **clean(),
            "WORK": str(self.folder / peer / "work"),
            "RELEASES": str(self.folder / peer / "releases"),
            "REPOSITORY": str(self.repository),
            "COMMIT": self.commit,
            "TOOLS": str(self.tools / "python"),
            "STEPS": str(STEPS),
        }

    def venv(self, name: str, *requirements: str) -> Path:
        """The `bin` of a virtual environment with these packages.

        Raises:
            Missing: They cannot be installed; says why.
        """
        folder = self.cache / name
        stamp = folder / "requirements.txt"
        wanted = "\n".join(requirements)
        if not (stamp.exists() and stamp.read_text() == wanted):
            python = folder / "bin" / "python"
            install(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
            pip = ("pip", "install", "-q", "--compile-bytecode", "--python", python)
            install(BIN / "uv", *pip, *requirements)
            stamp.write_text(wanted)
        return folder / "bin"

    def npm(self, name: str, *packages: str) -> Path:
        """The `node_modules` of a folder with these packages.

        Raises:
            Missing: They cannot be installed; says why.
        """
        folder = self.cache / name
        stamp = folder / "packages.txt"
        wanted = "\n".join(packages)
        if not (stamp.exists() and stamp.read_text() == wanted):
            if not shutil.which("npm"):
                raise Missing("no npm on this machine")
            folder.mkdir(parents=True, exist_ok=True)
            install("npm", "install", "--prefix", folder, "--no-audit", *packages)
            stamp.write_text(wanted)
        return folder / "node_modules"

    def program(self, name: str) -> None:
        """Make sure that a program of Debian's package of the same name is there.

        Raises:
            Missing: It is not, and cannot be installed.
        """
        if shutil.which(name):
            return
        if os.geteuid() or not shutil.which("apt-get"):
            raise Missing(f"{name} is not installed")
        install("apt-get", "-qq", "update")
        install("apt-get", "-qq", "install", "-y", "--no-install-recommends", name)

    def start(
        self, *command: str | Path, folder: Path, environment: dict[str, str]
    ) -> int:
        """Start a daemon; its output goes to `daemon.log` in its folder."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process.pid


def call(
    *command: str | Path,
    environment: dict[str, str],
    folder: Path | None = None,
    codes: Sequence[int] = (0,),
) -> str:
    """Run a command to its end; what it wrote to stdout.

    Raises:
        subprocess.CalledProcessError: It ended with another code.
        subprocess.TimeoutExpired: It took too long.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode not in codes:
        said = (done.stderr + done.stdout).strip()
        raise subprocess.CalledProcessError(done.returncode, command, stderr=said)
    return done.stdout


def install(*command: str | Path) -> None:
    """Run a command that installs something.

    Raises:
        Missing: It failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason"]
        raise Missing(f"'{Path(command[0]).name}' cannot install it: {lines[-1]}")


def clean() -> dict[str, str]:
    """The environment without what configures Prefect, this project, a peer or tests."""
    ours = ("COV", "PREFECT", "GCL", "DAGSTER", "PYTHONDONTWRITEBYTECODE")
    return {n: v for n, v in os.environ.items() if not n.startswith(ours)} | {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def until(
    holds: Callable[[], object], what: str, every: float = 0.05, patience: float = START
) -> None:
    """Return once `holds` says something true.

    Raises:
        TimeoutError: It does not.
    """
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not ready after {patience:g} s")
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all below it."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for each in below:
        if each.is_running():
            each.kill()
