"""Processes that wait, everything imported, for something to do."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect_delivery.deployments.forker import signal_group
from prefect_delivery.errors import DeliveryError

FORKER = "prefect_delivery.deployments.forker"
LOST = -15
"""Exit code of a child whose forker was killed: nobody knows the real one."""


@dataclass
class Child:
    """A process that waits for its job, does it, and ends.

    Attributes:
        returncode: Its exit code, once it has ended; negative for a signal.
    """

    pid: int
    returncode: int | None = None
    _job: socket.socket | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, job: dict[str, Any]) -> None:
        """Hand it its job.

        Raises:
            OSError: It has ended while it waited.
        """
        assert self._job is not None  # noqa: S101 - a child has one job
        with self._job as channel:
            channel.sendall(json.dumps(job).encode())
        self._job = None

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        await self._ended.wait()
        assert self.returncode is not None  # noqa: S101 - set before the event
        return self.returncode

    def note_end(self, code: int) -> None:
        self.returncode = code
        if self._job is not None:
            self._job.close()
        self._ended.set()


@dataclass
class Nursery:
    """Keeps one child ready, and watches over all.

    Attributes:
        modules: The module with `live`, which every child calls, then what else to
            import before any child is born.
        environment: Of the forker, and of a child until it has its job.
    """

    modules: Sequence[str]
    environment: dict[str, str] | None = None
    _forker: "_Forker | None" = None
    _spare: "asyncio.Task[Child] | None" = None

    async def open(self) -> None:
        """Import, and begin to keep a child ready.

        Raises:
            DeliveryError: The modules cannot be imported.
        """
        await asyncio.shield(self._prepare())

    async def take(self) -> Child:
        """A child that waits for its job; the next one is prepared meanwhile.

        Raises:
            DeliveryError: The modules cannot be imported any more.
        """
        while True:
            spare, self._spare = self._spare or self._prepare(), None
            try:
                child = await asyncio.shield(spare)
            except DeliveryError:
                if not (self._forker and self._forker.served):
                    raise
                continue  # somebody has killed the forker: the next one is born
            finally:
                self._spare = self._spare or self._prepare()
            if child.returncode is None:
                return child

    async def renew(self) -> None:
        """Let children from now on be born with the code as it is on disk now.

        Raises:
            DeliveryError: It cannot be imported; all stays as it was.
        """
        forker = _Forker(self.modules, self.environment)
        spare = asyncio.create_task(forker.bear())
        await asyncio.shield(spare)
        await self.close()
        self._forker, self._spare = forker, spare

    async def close(self) -> None:
        """Let go of the spare; children at work go on until they end."""
        self._drop_spare()
        if self._forker:
            self._forker.retire()
            self._forker = None

    def _prepare(self) -> "asyncio.Task[Child]":
        if self._forker is None or self._forker.gone:
            self._forker = _Forker(self.modules, self.environment)
        self._spare = asyncio.create_task(self._forker.bear())
        return self._spare

    def _drop_spare(self) -> None:
        if self._spare is None:
            return
        spare, self._spare = self._spare, None
        spare.add_done_callback(_let_go)
        if not spare.done():
            spare.cancel()


def _let_go(spare: "asyncio.Task[Child]") -> None:
    if not spare.cancelled() and spare.exception() is None:
        child = spare.result()
        if child._job is not None:
            child._job.close()  # it ends when it reads that there is no job


class _Forker:
    """The worker's end of one forker process.

    Attributes:
        served: Whether it could import what it shall.
        gone: Whether it has ended, or was let go.
    """

    def __init__(
        self, modules: Sequence[str], environment: dict[str, str] | None
    ) -> None:
        self.gone = self.served = False
        self._retired = False
        self._children: dict[int, Child] = {}
        self._ready = asyncio.get_running_loop().create_future()
        self._born: list[asyncio.Future[int]] = []
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", FORKER, str(theirs.fileno()), *modules],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._hear)

    async def bear(self) -> Child:
        await asyncio.shield(self._ready)
        ours, theirs = socket.socketpair()
        born: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with theirs:
            self._born.append(born)
            try:
                socket.send_fds(self._control, [b"1"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise _lost(self._process) from error
        try:
            pid = await born
        except BaseException:
            ours.close()
            raise
        child = self._children.setdefault(pid, Child(pid))
        child._job = ours
        return child

    def retire(self) -> None:
        """End once no child is left."""
        self._retired = True
        self._leave_if_idle()

    def _hear(self) -> None:
        try:
            message = self._control.recv(100).decode()
        except BlockingIOError:
            return
        except OSError:
            message = ""
        match message.split():
            case ["ready"]:
                self.served = True
                self._ready.set_result(None)
            case ["born", pid]:
                self._children.setdefault(int(pid), Child(int(pid)))
                born = self._born.pop(0)
                if not born.done():
                    born.set_result(int(pid))
            case ["ended", pid, code]:
                self._children.pop(int(pid)).note_end(int(code))
                self._leave_if_idle()
            case _:
                self._leave()

    def _leave_if_idle(self) -> None:
        if self._retired and not self._children:
            self._leave()

    def _leave(self) -> None:
        """Close the life line, and count as ended what hung on it."""
        if self.gone:
            return
        self.gone = True
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        for future in [self._ready, *self._born]:
            if not future.done():
                future.set_exception(_lost(self._process))
                future.exception()  # somebody may wait for it, or nobody
        for child in self._children.values():
            _watch(child)
        # It may be in the middle of an import.
        asyncio.get_running_loop().run_in_executor(None, self._process.wait)


def _watch(child: Child) -> None:
    """Note the end of a child whose forker is gone: the kernel has told it to end."""

    def ended() -> None:
        signal_group(child.pid, signal.SIGKILL)
        child.note_end(LOST)

    try:
        process = os.pidfd_open(child.pid)
    except ProcessLookupError:
        ended()
        return
    loop = asyncio.get_running_loop()

    def leave() -> None:
        loop.remove_reader(process)
        os.close(process)
        ended()

    loop.add_reader(process, leave)


def _lost(process: "subprocess.Popen[bytes]") -> DeliveryError:
    return DeliveryError(
        f"the process that prepares runs (pid {process.pid}) has ended",
        hint="see what it wrote to the worker's output",
    )
