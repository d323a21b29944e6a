"""A server that takes requests and answers byte by byte without end, or never."""

import socket
import threading
from itertools import chain, cycle
from typing import Literal, Self

Manner = Literal["silent", "dripping head", "dripping body"]
PAUSE = 0.05
"""Seconds between two bytes; any client that waits for a byte sees one in time."""


class DrippingServer:
    """Serves on a port of this machine until it is left."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._left = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._left.set()
        self._socket.close()

    def _listen(self) -> None:
        while not self._left.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(
                target=self._answer, args=(connection,), daemon=True
            ).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(65_536)
            try:
                for byte in self._bytes():
                    connection.sendall(bytes([byte]))
                    if self._left.wait(PAUSE):
                        return
                self._left.wait()
            except OSError:
                return  # whoever has asked has gone

    def _bytes(self) -> "chain[int]":
        head = b"HTTP/1.1 200 OK\r\n"
        match self._manner:
            case "silent":
                return chain(b"")
            case "dripping head":
                return chain(head, cycle(b"X-More: yes\r\n"))
            case "dripping body":
                return chain(head, b"\r\n", cycle(b" "))
