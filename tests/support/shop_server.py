"""A small shop: a server that starts in milliseconds and says which version it is.

It stands for a user's service. Its behaviour is a file beside it, so that a release can be
one that never starts, hangs, or dies.
"""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

VERSION = Path("version").read_text().strip()
BEHAVIOUR = Path("behaviour").read_text().strip()


def serve(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as lines:
        while request := lines.readline():
            while lines.readline() not in {b"\r\n", b"\n", b""}:
                pass
            if BEHAVIOUR == "slow":
                time.sleep(0.2)
            status, body = answer(request.split()[1].decode())
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)


def answer(path: str) -> tuple[str, bytes]:
    if path == "/crash":
        os._exit(3)
    if path == "/health" and BEHAVIOUR == "sick":
        return "503 Service Unavailable", b"sick"
    return "200 OK", VERSION.encode()


def main() -> None:
    if BEHAVIOUR == "broken":
        print("cannot find the database", flush=True)
        sys.exit(3)
    if BEHAVIOUR == "deaf":
        signal.pause()
    if BEHAVIOUR == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if BEHAVIOUR == "mortal":
        threading.Timer(0.5, os._exit, [9]).start()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((os.environ["HOST"], int(os.environ["PORT"])))
    listener.listen(512)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=[connection], daemon=True).start()


main()
