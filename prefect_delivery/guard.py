"""Runs one command and ends it together with every process that came of it.

`launcher` starts this file as a program of its own, once in a process of ours, and it
forks for every command: to start an interpreter each time would take longer than many
a command. Two processes stand between us and the command, each a subreaper and each
ready to end what is below it:

    keeper ← guard ← command ← whatever it starts

The guard watches us and the keeper, the keeper watches the guard. Whichever is killed,
another one is left to end the rest, also what moved to a session of its own. Nothing
depends on the process that forked them.

Only modules that load in a moment are used, since the first command waits for them.
Sources: prctl(2) PR_SET_CHILD_SUBREAPER, pidfd_open(2), unix(7) SCM_RIGHTS, proc(5).
"""

from __future__ import annotations

import _socket
import ctypes
import gc
import marshal
import os
import resource
import select
import sys
import time

# Type checkers take this for true; importing `typing` would double the start time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import TypedDict

    class Order(TypedDict):
        """What to run and when to end it, as `run_process` takes it."""

        argv: list[str]
        cwd: str
        env: dict[str, str]
        timeout: float | None
        memory: int | None
        grace: float

else:
    # What `signal` adds to it, enumerations, takes as long to import as all the rest.
    import _signal as signal

CONTROL = 0
INT = 4
"""Bytes of a descriptor in a message."""
PR_SET_CHILD_SUBREAPER = 36
TICK = 0.2
LAST = 0.05
"""Seconds that keepers have to end when the asking process ends."""


def main(asker: int) -> None:
    """Fork a keeper for each request at `CONTROL`, until the asking process is gone.

    A request brings three descriptors. From the first the keeper reads its `Order`, to
    the second the command writes, and to the third goes the outcome: one of `exit N`,
    `signal N`, `error TEXT` and `ended REASON`, where the reason is `cancelled`,
    `timeout`, `memory` or `orphaned`.
    """
    os.setsid()
    os.chdir("/")
    _close_what_is_not_ours()
    we = os.pidfd_open(asker)
    if os.getppid() != asker:
        return
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    # What a collection moves about is copied for every fork.
    gc.disable()
    requests = _socket.socket(fileno=CONTROL)
    poller = select.poll()
    for descriptor in (we, CONTROL):
        poller.register(descriptor, select.POLLIN)
    while we not in dict(poller.poll()):
        descriptors = _descriptors(requests)
        if len(descriptors) != 3:
            break
        _fork_keeper(we, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
    # What they have used of the processor is known once they are waited for.
    until = time.monotonic() + LAST
    while _has_children() and time.monotonic() < until:
        time.sleep(0.001)


def _close_what_is_not_ours() -> None:
    """Close what the asking process leaves open in whatever it starts."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                continue  # that of the folder itself


def _descriptors(requests: _socket.socket) -> list[int]:
    space = _socket.CMSG_SPACE(3 * INT)
    _, found, _, _ = requests.recvmsg(1, space)
    return [
        int.from_bytes(data[at : at + INT], sys.byteorder)
        for _, _, data in found
        for at in range(0, len(data), INT)
    ]


def _fork_keeper(we: int, control: int, output: int, report: int) -> None:
    parent = os.getpid()
    try:
        if os.fork() == 0:
            _keep(we, control, output, report)
    except OSError as error:
        os.write(report, f"error cannot be run: {error.strerror}".encode())
    finally:
        if os.getpid() != parent:
            # No child serves requests, and an interpreter takes its time to end.
            os._exit(0)


def _keep(we: int, control: int, output: int, report: int) -> None:
    """Be the keeper of one command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for ours, descriptor in ((CONTROL, control), (1, output), (2, output)):
        os.dup2(descriptor, ours)
    os.close(control)
    os.close(output)
    os.setsid()
    order = _read_order()
    _become_subreaper()
    keeper = os.getpid()
    if guard := os.fork():
        os.waitpid(guard, 0)
        end_descendants(grace=0)
    else:
        os.setsid()
        _become_subreaper()
        above = os.pidfd_open(keeper)
        if os.getppid() == keeper:
            os.write(report, _guard(order, [CONTROL, we, above], report).encode())


def _read_order() -> Order:
    size = int.from_bytes(_read(8), "little")
    order: Order = marshal.loads(_read(size))  # noqa: S302 - from our own process
    return order


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (chunk := os.read(CONTROL, size - len(data))):
            os._exit(0)
        data += chunk
    return data


def _become_subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _guard(order: Order, watched: list[int], report: int) -> str:
    command = os.fork()
    if command == 0:
        _become(order, report)
    poller = select.poll()
    for descriptor in [*watched, os.pidfd_open(command)]:
        poller.register(descriptor, select.POLLIN)
    outcome = _watch(order, command, poller)
    end_descendants(order["grace"])
    return outcome


def _become(order: Order, report: int) -> None:
    """Turn this process into the command."""
    try:
        _prepare(report)
        os.chdir(order["cwd"])
        os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(report, f"error {_explain(error, order)}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _prepare(report: int) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), CONTROL)
    os.set_inheritable(report, False)
    # A core file would hold the command's secrets.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    # Should memory run out, the kernel shall choose the command and not us.
    with open("/proc/self/oom_score_adj", "w") as adjustment:  # noqa: PTH123
        adjustment.write("500")


def _explain(error: OSError | ValueError, order: Order) -> str:
    if not os.path.isdir(order["cwd"]):  # noqa: PTH112
        return f"cannot be run: no folder '{order['cwd']}'"
    if isinstance(error, FileNotFoundError):
        return "was not found"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot be run: {(reason or 'unknown reason').lower()}"


def _watch(order: Order, command: int, poller: select.poll) -> str:
    """Wait until the command ends, or must be ended, and say which."""
    deadline = time.monotonic() + order["timeout"] if order["timeout"] else None
    tick = TICK if order["memory"] else 1.0
    while True:
        left = deadline - time.monotonic() if deadline else tick
        ready = poller.poll(max(0, min(tick, left)) * 1000)
        if (status := _reap(command)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return f"exit {code}" if code >= 0 else f"signal {-code}"
        if ready:
            cancelled = any(descriptor == CONTROL for descriptor, _ in ready)
            return "ended cancelled" if cancelled else "ended orphaned"
        if deadline and time.monotonic() >= deadline:
            return "ended timeout"
        if order["memory"] and _uses_more_than(order["memory"]):
            return "ended memory"


def _reap(command: int = 0) -> int | None:
    """Take the statuses of all children that ended; return that of `command`."""
    found = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == command:
                found = ended[1]
    except ChildProcessError:
        pass  # no children are left
    return found


def end_descendants(grace: float) -> None:
    """Ask all descendants to end, kill those that have not after `grace` seconds."""
    if not _has_children():
        return
    asked = _signal(_descendants(), signal.SIGTERM, signal.SIGCONT)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and _signal(_descendants(), 0):
        # Started while we asked. A child whose parent lives may be cleaning up for it.
        orphans = set(_children().get(os.getpid(), [])) - asked
        asked |= _signal(orphans, signal.SIGTERM, signal.SIGCONT)
        time.sleep(0.02)
        _reap()
    # Stopped processes cannot fork away from the kill.
    while _signal(_descendants(), signal.SIGSTOP):
        _signal(_descendants(), signal.SIGKILL)
        time.sleep(0.01)
        _reap()


def _has_children() -> bool:
    """Whether any process is below us; most commands leave none.

    A subreaper is the parent of whatever below it has lost its own, so that without
    children it has no descendants. To look through /proc for them takes longer than
    many a command, the longer the more processes a machine has.
    """
    _reap()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _signal(pids: set[int], *numbers: int) -> set[int]:
    """Send signals; return the processes that were there and that we may end."""
    reached = set()
    for pid in pids:
        try:
            for number in numbers:
                os.kill(pid, number)
            reached.add(pid)
        except (ProcessLookupError, PermissionError):
            continue
    return reached


def _descendants() -> set[int]:
    children = _children()
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found.extend(children.get(pid, []))
    return set(found)


def _children() -> dict[int, list[int]]:
    """All processes of this machine by their parent, read from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and (parent := _parent(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    return children


def _parent(pid: str) -> int | None:
    stat = _contents(f"/proc/{pid}/stat")
    # The name, in parentheses, may hold anything: fields are counted behind it.
    return int(stat.rpartition(b")")[2].split()[1]) if stat else None


def _contents(path: str) -> bytes:
    """What a file of /proc says; empty when the process is gone or not ours."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall()
    except OSError:
        return b""


def _uses_more_than(limit: int) -> bool:
    """Whether all descendants together hold more than `limit` bytes of memory.

    Shared pages count once for each process in the quick sum (RSS), so that a sum over
    the limit is checked by the exact one (PSS).
    """
    pids = _descendants()
    return sum(map(_rss, pids)) > limit and sum(map(_pss, pids)) > limit


def _rss(pid: int) -> int:
    fields = _contents(f"/proc/{pid}/statm").split()
    return int(fields[1]) * resource.getpagesize() if fields else 0


def _pss(pid: int) -> int:
    for line in _contents(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _rss(pid)


if __name__ == "__main__":
    main(asker=int(sys.argv[1]))
