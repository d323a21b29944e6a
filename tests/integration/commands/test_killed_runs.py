"""Whoever is killed, no process of a command is left."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_delivery.actions import Artifact
from prefect_delivery.errors import ActionFailed
from prefect_delivery.process import clean_environment, run_process

PATIENCE = 60
"""Seconds until a process that should end counts as left over."""

STUBBORN = "sh -c 'trap \"\" TERM; echo pid $$; while :; do sleep 600; done'"
# A child, one in a session of its own, and one that also lost parent and environment.
SCRIPT = f"""
{STUBBORN} &
setsid {STUBBORN} &
(env -i PATH="$PATH" setsid {STUBBORN} &)
echo pid $$
echo guard $PPID
while :; do sleep 600; done
"""
PROGRAM = """
import os, sys, time
from prefect_delivery.actions import Artifact, Job
from prefect_delivery.tasks.build.commands import run_commands

def say(line):
    os.write(1, f"{line}\\n".encode())  # at once, as two processes write here

def log(line):
    # What forks from us holds our end of the guard's pipe for as long as it lives.
    if line.startswith("guard") and os.fork() == 0:
        say(f"fork {os.getpid()}")
        time.sleep(600)
    say(line)

job = Job(key="e1/Build/package", log=log)
source = Artifact(digest=sys.argv[1], size=int(sys.argv[2]))
run_commands.fn(source, [sys.argv[3]], job=job)
"""


def ended(pids: list[int]) -> bool:
    """Whether all processes end before our patience does."""
    poller = select.poll()
    waiting = set()
    for pid in pids:
        try:
            waiting.add(descriptor := os.pidfd_open(pid))
            poller.register(descriptor, select.POLLIN)
        except ProcessLookupError:
            continue
    while waiting and (ready := poller.poll(PATIENCE * 1000)):
        for descriptor, _ in ready:
            poller.unregister(descriptor)
            os.close(descriptor)
            waiting.discard(descriptor)
    return not waiting


class Started:
    """Reads lines until it knows the guard and all four processes of `SCRIPT`."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.guard = 0
        self.fork = 0  # -1 until it is known, where there will be one

    def take(self, line: str) -> bool:
        match line.split():
            case ["pid", pid]:
                self.pids.append(int(pid))
            case ["guard", pid]:
                self.guard = int(pid)
            case ["fork", pid]:
                self.fork = int(pid)
            case _:
                return False  # a shell tells that what it started was killed
        return len(self.pids) == 4 and self.guard > 0 and self.fork >= 0

    @property
    def keeper(self) -> int:
        stat = Path(f"/proc/{self.guard}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[1])


@pytest.fixture
def worker(source: Artifact) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `SCRIPT` as an action and prints its log."""
    argv = [sys.executable, "-c", PROGRAM, source.digest, str(source.size), SCRIPT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_nothing_is_left_when_the_worker_is_killed(
    worker: subprocess.Popen[str],
) -> None:
    started = Started()
    started.fork = -1
    assert worker.stdout
    assert any(started.take(line) for line in worker.stdout)

    everything = [*started.pids, started.guard, started.keeper]

    worker.kill()

    assert ended(everything)
    os.kill(started.fork, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["guard", "keeper"])
def test_nothing_is_left_when_a_guard_is_killed(victim: str) -> None:
    started = Started()

    def kill(line: str) -> None:
        if started.take(line):
            os.kill(getattr(started, victim), signal.SIGKILL)

    with pytest.raises(ActionFailed, match="its guard was killed"):
        run_process(
            ["sh", "-c", SCRIPT],
            cwd=Path("/"),
            env=clean_environment(),
            on_line=kill,
            grace=0.5,
        )

    assert ended(started.pids)


def test_nothing_is_left_when_the_action_is_cancelled() -> None:
    started = Started()
    cancelled = threading.Event()

    def cancel(line: str) -> None:
        if started.take(line):
            cancelled.set()

    with pytest.raises(ActionFailed, match="was stopped"):
        run_process(
            ["sh", "-c", SCRIPT],
            cwd=Path("/"),
            env=clean_environment(),
            on_line=cancel,
            cancelled=cancelled,
            grace=0.5,
        )

    assert ended(started.pids)
