"""`deliver server` as a process of its own, and a network that can be made to wait."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import psutil
from deployed import until
from git_http import free_port
from ruamel.yaml import YAML
from webhooks import KEY, Delivery

DELIVER = Path(sys.executable).parent / "deliver"


@dataclass
class DeliveryServer:
    """A server that takes the webhooks of one connection, `github`.

    Attributes:
        folder: For its configuration and its log.
        environment: Beside that of this process.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    port: int = field(default_factory=free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self, **settings: Any) -> None:
        """Start it, or start it again."""
        connection = {
            "forge": "github",
            "repositories": ["127.0.0.1:*"],
            "secrets": ["env:HOOK_KEY"],
        }
        config = self.folder / "server.yaml"
        with config.open("w") as file:
            YAML().dump({"connections": {"github": connection}} | settings, file)
        words = ["server", "--port", str(self.port), "--config", str(config)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [DELIVER, *words],
                env={**os.environ, "HOOK_KEY": KEY, **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._answers, "the server")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return self.health().is_success
        except httpx.HTTPError:
            return False

    def health(self) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}/delivery/health", timeout=30)

    def post(self, delivery: Delivery) -> int:
        """The status that a delivery is answered with."""
        url = f"http://127.0.0.1:{self.port}/delivery/hooks/github"
        answer = httpx.post(
            url, content=delivery.body, headers=delivery.headers, timeout=60
        )
        return answer.status_code

    def post_all(self, deliveries: list[Delivery], *, senders: int) -> Counter[int]:
        """Send from so many senders at once; how often each status was answered."""

        def send(some: list[Delivery]) -> Counter[int]:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
            found: Counter[int] = Counter()
            for each in some:
                connection.request(
                    "POST", "/delivery/hooks/github", each.body, each.headers
                )
                answer = connection.getresponse()
                json.loads(answer.read())
                found[answer.status] += 1
            connection.close()
            return found

        shares = [deliveries[n::senders] for n in range(senders)]
        with ThreadPoolExecutor(senders) as pool:
            return sum(pool.map(send, shares), Counter())

    @property
    def memory(self) -> int:
        """Bytes that it has in memory."""
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def kill(self) -> None:
        """End it by SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """End it as a service manager does; its exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(60)
        self._process = None
        return code


class Gate:
    """A port that keeps everybody waiting until it is opened, and then leads on."""

    def __init__(self, leads_to: int) -> None:
        self._leads_to = leads_to
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._waiting: list[socket.socket] = []

    def wait_for_a_caller(self) -> None:
        """Return once somebody waits."""
        self._waiting.append(self._socket.accept()[0])

    def open(self) -> None:
        """From now on, lead everybody on. Who waited before is sent away."""
        for each in self._waiting:
            each.close()
        threading.Thread(target=self._lead, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _lead(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return  # closed
            there = socket.create_connection(("127.0.0.1", self._leads_to))
            for one, other in ((caller, there), (there, caller)):
                threading.Thread(target=_pass, args=(one, other), daemon=True).start()


def _pass(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        other.close()
