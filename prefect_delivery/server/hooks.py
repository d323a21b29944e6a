"""Takes webhooks: checks who sends them, keeps what they tell, and answers at once."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio.to_thread import run_sync
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from prefect_delivery.errors import LedgerError
from prefect_delivery.inbox import CHANGES
from prefect_delivery.ledger import Ledger
from prefect_delivery.server.connections import Configuration, Connection, Secrets
from prefect_delivery.server.limits import Limits

READ_WITHIN = 10.0
"""Seconds that a sender has for a body."""
AT_ONCE = 16
"""Bodies that are read at once: times the largest, what they take of memory."""
BUSY = 30
"""Seconds after which one who was turned away may come again."""


@dataclass
class Hooks:
    """The endpoint of webhooks.

    Attributes:
        accepted: Called when there is something to carry out.
    """

    configuration: Configuration
    ledger: Ledger
    accepted: Callable[[], None]
    secrets: Secrets = field(default_factory=Secrets)
    _reading: int = 0

    def __post_init__(self) -> None:
        chosen = self.configuration
        self._limits = Limits(each_minute=chosen.each_minute, burst=chosen.burst)

    async def take(self, request: Request) -> JSONResponse:
        """Answer one delivery. Nothing is looked at before its signature is right."""
        sender = request.client.host if request.client else ""
        if pause := self._limits.pause(sender):
            return _answer(429, "too many requests", again=math.ceil(pause))
        name = request.path_params["connection"]
        connection = self.configuration.connections.get(name)
        if connection is None:
            return _answer(404, "there is no such connection")
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "application/json":
            return _answer(415, "send application/json")
        if self._reading >= AT_ONCE:
            return _answer(503, "too many requests at once", again=BUSY)
        self._reading += 1
        try:
            with anyio.fail_after(READ_WITHIN):
                body = await self._body(request)
        except TimeoutError:
            return _answer(408, "the body does not come")
        except ClientDisconnect:
            return _answer(400, "the body is not complete")
        finally:
            self._reading -= 1
        if body is None:
            return _answer(413, f"more than {self.configuration.largest} bytes")
        return await run_sync(self._keep, name, connection, request, body)

    async def _body(self, request: Request) -> bytes | None:
        """The body; None as soon as it is too large."""
        largest = self.configuration.largest
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > largest:
            return None
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > largest:
                return None
        return bytes(body)

    def _keep(
        self, name: str, connection: Connection, request: Request, body: bytes
    ) -> JSONResponse:
        keys = self.secrets.values(connection.secrets)
        if not keys:
            return _answer(503, "no secret can be fetched", again=BUSY)
        if not connection.reader.is_genuine(request.headers, body, keys):
            return _answer(401, "the signature is wrong or missing")
        try:
            changes = connection.reader.read(request.headers, body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            return _answer(400, f"{place}: {first['msg']}" if place else first["msg"])
        if not changes:
            return _answer(200, "tells of no change")
        if not all(connection.may_speak_of(change.repository) for change in changes):
            return _answer(403, "this connection may not speak of that repository")
        digest = hashlib.sha256(body).hexdigest()
        delivery = connection.reader.delivery(request.headers)[:200]
        try:
            taken = self.ledger.inbox.accept(
                name,
                delivery=delivery or digest,
                digest=digest,
                changes=CHANGES.dump_json(changes).decode(),
                most=self.configuration.waiting,
            )
        except LedgerError:
            return _answer(503, "the ledger cannot be written", again=BUSY)
        match taken:
            case "full":
                return _answer(503, "too much waits", again=BUSY)
            case "known":
                return _answer(200, "came before")
            case "accepted":
                self.accepted()
                return _answer(202, "accepted")


def _answer(status: int, said: str, *, again: int | None = None) -> JSONResponse:
    headers = {} if again is None else {"Retry-After": str(again)}
    return JSONResponse({"said": said}, status, headers)
