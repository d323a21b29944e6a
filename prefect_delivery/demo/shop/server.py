"""A shop that greets: the service that the demo delivers."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from greeting import greet


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, text = (200, "ok") if self.path == "/health" else page()
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo asks a thousand times."""


def page() -> tuple[int, str]:
    try:
        return 200, greet(os.environ.get("VISITOR", "you"))
    except Exception as error:
        return 500, f"sorry: {error}"


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop)
    stop = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    server.serve_forever()
