"""Who holds a claim or a lease: one process on one machine, told apart from all others.

A holder reads `host:boot:namespace:pid:start`. The boot id makes every holder of an
earlier boot dead, the namespace keeps containers apart that share a host's name, and the
start time (clock ticks since boot) tells a process from a later one with its number.
Sources: proc(5), `/proc/pid/stat` field 22; namespaces(7), `/proc/pid/ns/pid`.
"""

import os
import socket
from pathlib import Path

WORKER = "DELIVERY_WORKER"
"""Environment variable that tells a run who its worker is."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_holder() -> str:
    """Name the running process."""
    return holder_of(os.getpid())


def holder_of(pid: int) -> str:
    """Name the process `pid` of this machine."""
    return f"{_host()}:{_boot()}:{_namespace()}:{pid}:{_start_of(str(pid))}"


def is_dead(holder: str) -> bool:
    """Whether `holder` is certainly gone; False where this process cannot tell."""
    match holder.split(":"):
        case [host, boot, *_] if host == _host() and boot != _boot():
            return True
        case [host, _, namespace, pid, start] if host == _host():
            return namespace == _namespace() and _start_of(pid) != start
        case _:
            return False


def has_lost_its_worker() -> bool:
    """Whether the worker that began this run is gone; False without a worker."""
    return is_dead(os.environ.get(WORKER, ""))


def _host() -> str:
    return socket.gethostname()


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _start_of(pid: str) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the command's name, may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
