"""A Prefect server of our own on this machine, for people who have none configured.

It is started once and stays: an ephemeral server costs each run some ten seconds of
CPU. It listens on loopback only, and keeps its database apart from Prefect's default.
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from prefect_delivery.errors import DeliveryError
from prefect_delivery.holder import holder_of, is_dead
from prefect_delivery.settings import settings

PORT = 4200
START_TIMEOUT = 180.0
"""Seconds: the first start writes a database, which a busy machine does slowly."""


def private_server(say: Callable[[str], None]) -> str:
    """Start the private server unless it runs, and return its API's URL.

    Args:
        say: Is told what a person has to wait for.

    Raises:
        DeliveryError: The server does not start; names its log.
    """
    home = settings().home / "server"
    home.mkdir(parents=True, exist_ok=True)
    note = home / "server.json"
    with (home / "lock").open("w") as lock:
        # Two first runs at once shall not start two servers on one database.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _running(note) or _started(home, note, say)


def _started(home: Path, note: Path, say: Callable[[str], None]) -> str:
    say("no Prefect server configured: starting a private one (up to 30 s)")
    url = _start(home, note)
    say(f"Prefect UI: {url.removesuffix('/api')}")
    return url


def stop_private_server() -> bool:
    """Stop the private server; False when none runs."""
    note = settings().home / "server" / "server.json"
    if _running(note) is None:
        return False
    os.kill(json.loads(note.read_text())["pid"], 15)
    note.unlink()
    return True


def _running(note: Path) -> str | None:
    """URL of the server that `note` tells of, if it still answers."""
    if not note.exists():
        return None
    known = json.loads(note.read_text())
    if is_dead(known["holder"]) or not _answers(known["url"]):
        return None
    return str(known["url"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _start(home: Path, note: Path) -> str:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    log = home / "server.log"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,  # without it, the UI asks port 4200
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start"]
    with log.open("ab") as output:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _await(server, url, log)
    known = {"pid": server.pid, "url": url, "holder": holder_of(server.pid)}
    note.write_text(json.dumps(known))
    return url


def _await(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(url):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise DeliveryError(
                "the private Prefect server does not start",
                hint=f"see {log}, or run without a server: deliver run --local",
            )
        time.sleep(0.2)


def _free_port() -> int:
    """Prefect's usual port, or any other one that is free."""
    for wanted in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DeliveryError("no free port on 127.0.0.1")
