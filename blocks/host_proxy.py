"""HAProxy in front of the releases of one folder: it splits the traffic by weights.

Two slots, blue and green, are enough: one release comes, one goes. Changes are made over
the runtime socket, so no connection is lost, and written to the configuration as well,
which is what HAProxy reads when it has to be started again.
Source: HAProxy 2.6 management guide, 9.3 (set server, show stat).
"""

import csv
import os
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from prefect_delivery.blocks.host_service import (
    Instance,
    check_port,
    service_environment,
)
from prefect_delivery.errors import ActionFailed

_CONFIGURATION = """\
global
  stats socket unix@admin.sock mode 600 level admin
  maxconn 2000
defaults
  mode http
  timeout connect 1s
  timeout http-request 30s
  timeout http-keep-alive 30s
  timeout client 1h
  timeout server 1h
  # A connection per request to the release: one that is kept could be closed by the
  # release just when a request goes out on it.
  option http-server-close
  retries 3
  option redispatch 1
frontend public
  bind {bind}:{port}
  default_backend releases
backend releases
  balance roundrobin
"""
_START = 10.0
"""Seconds that HAProxy may take to start."""
_GRACE = 1.0


@dataclass(frozen=True)
class Slot:
    """One server of the backend.

    Attributes:
        port: Port of a release on this machine; None while the slot is free.
        weight: Share of the traffic.
    """

    port: int | None = None
    weight: int = 0


class Proxy:
    """The HAProxy of one environment.

    Args:
        folder: Folder of its files.
        bind: Address that it listens on for people.
        port: Port that it listens on for people.
    """

    def __init__(self, folder: Path, bind: str, port: int) -> None:
        self._folder = folder.absolute()
        self._bind = bind
        self.port = port
        self._process = Instance(self._folder)

    folders: ClassVar[str] = "/usr/local/sbin:/usr/sbin"
    """Where Debian puts it; not everybody's PATH has these."""

    @classmethod
    def program(cls) -> str | None:
        """Path of HAProxy's program; None when it is not installed."""
        path = os.environ.get("PATH", os.defpath)
        return shutil.which("haproxy", path=f"{path}:{cls.folders}")

    @property
    def is_running(self) -> bool:
        return self._process.state() is not None

    def check_port(self) -> None:
        """Make sure that the public port is ours or free.

        Raises:
            ActionFailed: Something else listens on it.
        """
        if not self.is_running:
            check_port(self._bind, self.port)

    def routes(self) -> dict[int, int]:
        """The releases' ports and weights, those with any traffic; asks HAProxy."""
        return {
            slot.port: slot.weight
            for slot in self._slots().values()
            if slot.port and slot.weight
        }

    def route(self, weights: Mapping[int, int]) -> None:
        """Give each port its share of the traffic, and all others nothing.

        HAProxy is started when it does not run.

        Args:
            weights: At most two; they may be 0.

        Raises:
            ActionFailed: HAProxy does not start or does not do as it is told.
        """
        now = self._slots()
        then = _assigned(now, weights)
        self._write(then)
        if self.is_running and now and self._serves_port():
            self._change(now, then)
        else:
            self._start()
        wanted = {port: weight for port, weight in weights.items() if weight}
        if self.routes() != wanted:
            raise ActionFailed(f"haproxy routes {self.routes()}, not {wanted}")

    def requests(self, port: int) -> int:
        """How many requests the release on that port is answering."""
        return sum(
            int(row["scur"]) + int(row["qcur"])
            for row in self._statistics()
            if row["addr"] == f"127.0.0.1:{port}"
        )

    def stop(self) -> None:
        self._process.stop(_GRACE)

    def _serves_port(self) -> bool:
        state = self._process.state()
        return state is not None and state["port"] == self.port

    def _slots(self) -> dict[str, Slot]:
        """The slots as HAProxy has them; empty when it does not answer."""
        return {
            row["svname"]: Slot(int(row["addr"].rpartition(":")[2]), int(row["weight"]))
            if not row["status"].startswith("MAINT")
            else Slot()
            for row in self._statistics()
        }

    def _statistics(self) -> list[dict[str, str]]:
        text = self._ask("show stat").removeprefix("# ")
        return [
            row
            for row in csv.DictReader(text.splitlines())
            if row["pxname"] == "releases" and row["svname"] != "BACKEND"
        ]

    def _write(self, slots: Mapping[str, Slot]) -> None:
        text = _CONFIGURATION.format(bind=self._bind, port=self.port)
        for name, slot in slots.items():
            rest = "" if slot.port else " disabled"
            address = f"127.0.0.1:{slot.port or 1}"
            text += f"  server {name} {address} weight {slot.weight}{rest}\n"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._folder / "haproxy.cfg.new"
        new.write_text(text)
        new.replace(self._folder / "haproxy.cfg")

    def _change(self, now: Mapping[str, Slot], then: Mapping[str, Slot]) -> None:
        commands = []
        # Who gains comes first: a moment with too many servers is better than with none.
        for name in sorted(then, key=lambda name: -then[name].weight):
            server, slot = f"set server releases/{name}", then[name]
            if slot.port is None:
                commands += [f"{server} weight 0", f"{server} state maint"]
                continue
            if slot.port != now[name].port:
                commands += [f"{server} state maint"]
                commands += [f"{server} addr 127.0.0.1 port {slot.port}"]
            commands += [f"{server} weight {slot.weight}", f"{server} state ready"]
        self._ask("; ".join(commands))

    def _start(self) -> None:
        self._process.stop(_GRACE)
        self.check_port()
        self._process.start(
            [self.program() or "haproxy", "-db", "-f", "haproxy.cfg"],
            cwd=self._folder,
            environment=service_environment({"PORT": str(self.port)}),
            grace=_GRACE,
        )
        deadline = time.monotonic() + _START
        while not self._slots():
            state = self._process.state()
            if (state and state["exit"]) or time.monotonic() > deadline:
                raise ActionFailed(
                    f"haproxy does not start:\n{self._process.last_lines()}"
                )
            time.sleep(0.01)

    def _ask(self, command: str) -> str:
        """Send a command; an empty answer also stands for nobody being there."""
        if not self.is_running:
            return ""
        folder = os.open(self._folder, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                # The path of a socket may have 107 characters only; this one is short.
                connection.connect(f"/proc/self/fd/{folder}/admin.sock")
                connection.sendall(f"{command}\n".encode())
                with connection.makefile() as answer:
                    return answer.read()
        except (FileNotFoundError, ConnectionRefusedError):
            return ""
        except OSError as error:
            raise ActionFailed(f"haproxy does not answer: {error}") from error
        finally:
            os.close(folder)


def _assigned(now: Mapping[str, Slot], weights: Mapping[int, int]) -> dict[str, Slot]:
    """Put the ports into slots; one that has a slot stays in it."""
    slots: dict[str, Slot | None] = {"blue": None, "green": None}
    homeless = dict(weights)
    for name in slots:
        port = now.get(name, Slot()).port
        if port in homeless:
            slots[name] = Slot(port, homeless.pop(port))
    for port, weight in homeless.items():
        free = next(name for name, slot in slots.items() if slot is None)
        slots[free] = Slot(port, weight)
    return {name: slot or Slot() for name, slot in slots.items()}
