"""AWS over HTTP: emulators in front of which connections can be cut.

moto emulates most services. What it does not do as AWS does is a double here, written
from the service's own model as botocore ships it: it refuses what the model refuses.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
from botocore.model import ServiceModel  # type: ignore[import-untyped]  # no py.typed
from botocore.session import get_session  # type: ignore[import-untyped]  # no py.typed
from botocore.validate import ParamValidator  # type: ignore[import-untyped]  # no py.typed

_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding"}


class Handler(BaseHTTPRequestHandler):
    """What the servers here share."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(handler: type[Handler]) -> Iterator[str]:
    """The address of a server with this handler."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Wire:
    """The way to AWS, on which connections break after a request had its effect.

    Attributes:
        seen: Operation of each request that came through, such as `StartExecution`.
        cuts: Operations whose next answers get lost.
        each: Whether the first answer of each change gets lost, whatever it is.
        lost: Changes whose answers were lost by that.
        bodies: Of the requests, one for each in `seen`.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.bodies: list[str] = []
        self.cuts: list[str] = []
        self.each = False
        self.lost: set[str] = set()
        self.lock = threading.Lock()

    def times(self, operation: str) -> int:
        return self.seen.count(operation)

    def loses(self, operation: str, body: bytes) -> bool:
        with self.lock:
            self.seen.append(operation)
            self.bodies.append(body.decode(errors="replace"))
            if operation in self.cuts:
                self.cuts.remove(operation)
                return True
            if self.each and operation not in self.lost and not _reads(operation):
                self.lost.add(operation)
                return True
        return False

    @contextmanager
    def to(self, backend: str) -> Iterator[str]:
        """An address that leads to a service."""
        wire = self

        class Forward(Handler):
            def forward(self) -> None:
                body = self.body()
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in _HOP
                }
                answer = httpx.request(
                    self.command,
                    backend + self.path,
                    content=body,
                    headers=headers,
                    timeout=60,
                    trust_env=False,
                )
                if wire.loses(operation_of(self, body), body):
                    self.close_connection = True
                    self.connection.close()
                    return
                kept = {k: v for k, v in answer.headers.items() if k not in _HOP}
                self.answer(answer.status_code, answer.content, kept)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

        with served(Forward) as address:
            yield address


def operation_of(request: BaseHTTPRequestHandler, body: bytes) -> str:
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if "/invocations" in request.path:
        return "Invoke"
    if action := parse_qs(body.decode(errors="replace")).get("Action"):
        return action[0]
    return f"{request.command} {request.path.partition('?')[0]}"


def _reads(operation: str) -> bool:
    return operation.startswith(("BatchGet", "Describe", "GET", "Get", "HEAD", "List"))


class Refusal(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


Answering = Callable[[dict[str, Any]], dict[str, Any]]


@contextmanager
def json_service(name: str, operations: Mapping[str, Answering]) -> Iterator[str]:
    """A double of a service that speaks JSON, with these operations.

    Requests and answers must be as the service's model has them.
    """
    model: ServiceModel = get_session().get_service_model(name)
    validator = ParamValidator()

    class Double(Handler):
        def do_POST(self) -> None:
            body = self.body()
            operation = operation_of(self, body)
            try:
                shape = model.operation_model(operation)
                asked = json.loads(body)
                problems = validator.validate(asked, shape.input_shape)
                if problems.has_errors():
                    raise Refusal("ValidationException", problems.generate_report())
                answer = operations[operation](asked)
                unknown = answer.keys() - shape.output_shape.members.keys()
                assert not unknown, f"{operation} answers no {unknown}"
            except Refusal as refusal:
                said = {"__type": refusal.code, "message": str(refusal)}
                self.answer(400, json.dumps(said).encode())
            else:
                self.answer(200, json.dumps(answer).encode())

    with served(Double) as address:
        yield address
