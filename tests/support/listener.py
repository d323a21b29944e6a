"""An endpoint that notifications go to: a web server that can be dead, slow or ill."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prefect.blocks.notifications import CustomWebhookNotificationBlock

HANG = 0
DRIP = 1
HEAR = 2
"""In the place of a status: no answer at all, one that never comes to an end, or none
though it has taken what it was told."""


@dataclass
class Listener:
    """What it was told, and how it answers.

    Attributes:
        heard: Subject and body of what it has taken, in order.
        answers: Statuses, `HANG`, `DRIP` or `HEAR` for the next requests; after them, 200.
        asked: Requests that have come, taken or not.
        done: Ends what hangs.
    """

    port: int = 0
    heard: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    answers: list[int] = field(default_factory=list[int])
    asked: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.heard]

    def block(self) -> CustomWebhookNotificationBlock:
        """A block of Prefect's that tells this endpoint."""
        return CustomWebhookNotificationBlock(
            name="listener",
            url=f"http://127.0.0.1:{self.port}/{{{{token}}}}",
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
            secrets={"token": "t0ps3cret"},
        )


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let it be there; before and after, connections to its port are refused."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            said: dict[str, Any] = json.loads(self.rfile.read(length))
            listener.asked += 1
            answer = listener.answers.pop(0) if listener.answers else 200
            match answer:
                case 0:
                    listener.done.wait()
                case 1:
                    self._drip()
                case 2:
                    listener.heard.append((said["subject"], said["body"]))
                    listener.done.wait()
                case _:
                    if answer == 200:
                        listener.heard.append((said["subject"], said["body"]))
                    self.send_response(answer)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        def _drip(self) -> None:
            """A byte now and then, so that no time-out between two bytes ends it."""
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not listener.done.wait(0.05):
                    self.wfile.write(b".")
            except OSError:
                pass  # nobody waits for more

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", listener.port), Handler)
    server.daemon_threads = True
    listener.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.done.set()
        server.shutdown()
        server.server_close()
        thread.join()
        listener.done.clear()
