"""Hosts of a fleet, and how they are reached: on this machine, or over ssh."""

import asyncio
import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
from pydantic import BaseModel, ConfigDict, Field

from prefect_delivery.errors import ActionFailed, LeaseLost

PROGRAM = {
    f"prefect_delivery.blocks.{name}": Path(__file__).with_name(f"{name}.py")
    for name in ("fleet_files", "fleet_agent")
}
"""Modules that travel to the host; the last one is the program."""
BOOT = """\
import json, sys, types
for name, source in json.loads(sys.stdin.buffer.readline()):
    sys.modules[name] = module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""
CHUNK = 1 << 16
CONNECT = 10.0
KEEPALIVE = 5.0
"""Seconds between signs of life; a host is gone after three that are not answered."""

State = dict[str, Any]
Log = Callable[[str], None]


class HostGone(ActionFailed):
    """The host does not answer."""


class FleetHost(BaseModel):
    """A host of a fleet; without an address it is this machine.

    It needs Python 3.9 or newer and, where scripts run as other users, a login as root.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="What it is called in reports.")
    address: str | None = Field(
        default=None, description="Where ssh reaches it; this machine when left out."
    )
    port: int = Field(default=22, ge=1, le=65535, description="Port of its sshd.")
    user: str | None = Field(default=None, description="Who logs in over ssh.")
    key: Path | None = Field(
        default=None, description="Private key file; the ssh agent's keys otherwise."
    )
    known_hosts: Path | None = Field(
        default=None,
        description="File with its host key; ~/.ssh/known_hosts otherwise.",
    )
    python: str = Field(default="python3", description="Python program on the host.")
    root: str | None = Field(
        default=None, pattern="^/", description="Its folder, if not the fleet's."
    )

    def ask(
        self, request: dict[str, Any], log: Log, bundle: Path | None = None
    ) -> State:
        """Have the host do something, and say how it is then.

        Args:
            log: Takes the lines of scripts.
            bundle: A tar file that belongs to the request.

        Raises:
            ActionFailed: It could not be done; says why.
            HostGone: The host does not answer, or has stopped to.
            LeaseLost: The host has seen a higher fencing token.
        """
        if bundle:
            request = {**request, "size": bundle.stat().st_size}
        replies = _Replies(self.name, log)
        try:
            if self.address is None:
                self._ask_here(_parts(request, bundle), replies)
            else:
                asyncio.run(self._ask_there(_parts(request, bundle), replies))
        except (OSError, asyncssh.Error) as error:
            said = str(error) or type(error).__name__
            raise HostGone(f"{self.name} does not answer: {said}") from error
        return replies.state()

    def _ask_here(self, parts: Iterator[bytes], replies: "_Replies") -> None:
        command = [sys.executable, "-I", "-S", "-c", BOOT]
        pipe = subprocess.PIPE
        # In a session of its own, so that Ctrl-C reaches it by way of us.
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, start_new_session=True
        ) as agent:
            assert agent.stdin and agent.stdout  # noqa: S101, for the type checker
            try:
                # An agent that has refused reads no further; its reply says why.
                with contextlib.suppress(BrokenPipeError):
                    for part in parts:
                        agent.stdin.write(part)
                    agent.stdin.flush()
                for line in agent.stdout:
                    replies.take(line)
            finally:
                with contextlib.suppress(BrokenPipeError):
                    agent.stdin.close()

    async def _ask_there(self, parts: Iterator[bytes], replies: "_Replies") -> None:
        options: dict[str, Any] = {
            "port": self.port,
            "config": None,  # nothing but what this block says
            "connect_timeout": CONNECT,
            "keepalive_interval": KEEPALIVE,
            "known_hosts": str(self.known_hosts) if self.known_hosts else (),
        }
        if self.user:
            options["username"] = self.user
        if self.key:
            options |= {"client_keys": [str(self.key)], "agent_path": None}
        command = shlex.join([self.python, "-I", "-c", BOOT])
        async with (
            asyncssh.connect(self.address or "", **options) as connection,
            connection.create_process(command, encoding=None) as agent,
        ):
            with contextlib.suppress(BrokenPipeError):
                for part in parts:
                    agent.stdin.write(part)
                    await agent.stdin.drain()
            while line := await agent.stdout.readline():
                replies.take(line)
            replies.errors += await agent.stderr.read()


class _Replies:
    """What an agent has said."""

    def __init__(self, host: str, log: Log) -> None:
        self._host = host
        self._log = log
        self._last: dict[str, Any] = {}
        self.errors: bytes = b""

    def take(self, line: bytes) -> None:
        try:
            words = json.loads(line)
        except ValueError:
            self.errors += line  # said by the login, not by the agent
            return
        if "log" in words:
            self._log(f"{self._host}: {words['log']}")
        else:
            self._last = words

    def state(self) -> State:
        if "lost" in self._last:
            raise LeaseLost(f"{self._host}: {self._last['lost']}")
        if "failed" in self._last:
            raise ActionFailed(str(self._last["failed"]))
        if "state" not in self._last:
            said = self.errors.decode(errors="replace").strip().rpartition("\n")[2]
            raise HostGone(f"{self._host} gave no answer {said}".rstrip())
        state: State = self._last["state"]
        return state


def _parts(request: dict[str, Any], bundle: Path | None) -> Iterator[bytes]:
    """What an agent reads: its own program, the request, and the bundle."""
    program = [(name, path.read_text()) for name, path in PROGRAM.items()]
    for line in (program, request):
        yield json.dumps(line).encode() + b"\n"
    if bundle:
        with bundle.open("rb") as file:
            while part := file.read(CHUNK):
                yield part
