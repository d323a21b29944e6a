"""How many runs a machine can carry out at once."""

import os
from pathlib import Path

EACH_CORE = 5
"""Runs for each core: most of their time they wait for something outside."""
EACH_RUN = 256 * 2**20
"""Bytes that a run may take, with what it starts. The process of a run has some 50 MB
of its own; builds have more."""
_LIMITS = [
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
]


def capacity() -> int:
    """Runs at once that leave this machine, or container, time and memory enough."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores * EACH_CORE, _memory() // EACH_RUN))


def _memory() -> int:
    """Bytes of the machine, or fewer where a control group has a limit.

    Source: the kernel's Documentation/admin-guide/cgroup-v2.rst, `memory.max`.
    """
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in _LIMITS:
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):
            continue  # no such group, or no limit: `max`
    return min(limits)
