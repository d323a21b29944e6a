"""Where actions that run elsewhere get what they need, and leave what they made.

An action shows its ticket once, and then its token. With that it may read the artifacts
and secrets that it names, store artifacts, say what it logs, and end: nothing else, and
nothing of any other action.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

import anyio
import anyio.from_thread
from anyio.to_thread import run_sync
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from prefect_delivery.artifacts import open_store
from prefect_delivery.errors import ActionFailed, ArtifactError, LedgerError
from prefect_delivery.ledger import Ledger
from prefect_delivery.ledger.remote import RemoteAction
from prefect_delivery.remote import ERRAND, OUTCOME, Errand
from prefect_delivery.secrets import fetch_secrets

MOST = 8 << 20
"""Bytes of a body that is not an artifact."""
READ_WITHIN = 60.0
"""Seconds that a body may take, or the next part of an artifact."""
PREFIX = "/delivery/actions"

R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)


class Take(BaseModel):
    """A ticket, and the token that its bearer will be known by."""

    model_config = ConfigDict(extra="forbid")

    ticket: Annotated[str, Field(min_length=32, max_length=100)]
    token: Annotated[str, Field(min_length=32, max_length=100)]


class Beat(BaseModel):
    """A sign of life, and what was logged since the last one."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[int, Field(ge=1, le=2**31 - 1)]
    lines: list[str]


class _Refusal(Exception):
    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class RemoteActionsServer:
    """The endpoints of actions that run elsewhere."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._store = open_store()

    def routes(self) -> list[Route]:
        """The routes of all endpoints."""
        artifact = f"{PREFIX}/artifacts/{{digest}}"
        secret = f"{PREFIX}/secrets/{{name:path}}"
        return [
            Route(f"{PREFIX}/take", _answering(self._take), methods=["POST"]),
            Route(f"{PREFIX}/beat", _answering(self._beat), methods=["POST"]),
            Route(f"{PREFIX}/outcome", _answering(self._finish), methods=["POST"]),
            Route(artifact, _answering(self._send), methods=["GET"]),
            Route(artifact, _answering(self._receive), methods=["PUT"]),
            Route(secret, _answering(self._secret), methods=["GET"]),
        ]

    async def _take(self, request: Request) -> Response:
        asked = await _body(request, Take)
        remote = self._ledger.remote
        found = await run_sync(remote.take, asked.ticket, asked.token)
        # One who did not get the answer asks again.
        found = found or await run_sync(remote.of, asked.token)
        if found is None:
            raise _Refusal(410, "the ticket was used, or the action has ended")
        return Response(found.call, media_type="application/json")

    async def _beat(self, request: Request) -> Response:
        said = await _body(request, Beat)
        hear = self._ledger.remote.hear
        reason = await run_sync(hear, _token(request), said.number, said.lines)
        return JSONResponse({"end": reason})

    async def _send(self, request: Request) -> Response:
        action, errand = await self._action(request)
        digest = request.path_params["digest"]
        if digest not in errand.inputs() | action.kept:
            raise _Refusal(403, f"artifact {digest} is none that the action reads")
        parts = self._store.send(digest)
        # What is wrong with it is found before the answer begins.
        first = await run_sync(lambda: next(parts))
        return StreamingResponse(
            iterate_in_threadpool(_chain(first, parts)),
            media_type="application/octet-stream",
        )

    async def _receive(self, request: Request) -> Response:
        await self._action(request)
        digest = request.path_params["digest"]
        size = await run_sync(self._store.receive, digest, _reader(request))
        await run_sync(self._ledger.remote.keep, _token(request), digest)
        return JSONResponse({"size": size}, 201)

    async def _secret(self, request: Request) -> Response:
        _, errand = await self._action(request)
        name = request.path_params["name"]
        if name not in errand.secrets() or name.startswith("env:"):
            raise _Refusal(403, f"secret '{name}' is none that the action refers to")
        found = await run_sync(fetch_secrets, {"secret": name})
        return JSONResponse(
            {"value": found["secret"]}, headers={"Cache-Control": "no-store"}
        )

    async def _finish(self, request: Request) -> Response:
        action, errand = await self._action(request)
        try:
            outcome = OUTCOME.validate_json(await _bytes(request))
        except ValidationError as error:
            raise _Refusal(400, _first(error)) from error
        may_leave = errand.inputs() | action.kept
        for name, artifact in outcome.artifacts().items():
            if artifact.digest not in may_leave:
                raise _Refusal(403, f"artifact '{name}' was not stored by the action")
        text = OUTCOME.dump_json(outcome).decode()
        await run_sync(self._ledger.remote.finish, _token(request), text)
        return JSONResponse({})

    async def _action(self, request: Request) -> tuple[RemoteAction, Errand]:
        found = await run_sync(self._ledger.remote.of, _token(request))
        if found is None:
            raise _Refusal(401, "no action goes on under this token")
        return found, ERRAND.validate_json(found.call)


def _answering(
    endpoint: Callable[[Request], Any],
) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            response: Response = await endpoint(request)
        except _Refusal as refusal:
            return JSONResponse({"said": refusal.said}, refusal.status)
        except ArtifactError as error:
            return JSONResponse({"said": error.message}, 422)
        except ActionFailed as error:
            return JSONResponse({"said": error.message, "hint": error.hint}, 422)
        except TimeoutError:
            return JSONResponse({"said": "the body does not come"}, 408)
        except ClientDisconnect:
            return JSONResponse({"said": "the body is not complete"}, 400)
        except LedgerError:
            return JSONResponse({"said": "the ledger cannot be used now"}, 503)
        return response

    return answer


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _Refusal(401, "show the action's token")
    return token


async def _body(request: Request, model: type[M]) -> M:
    try:
        return model.model_validate_json(await _bytes(request))
    except ValidationError as error:
        raise _Refusal(400, _first(error)) from error


async def _bytes(request: Request) -> bytes:
    body = bytearray()
    with anyio.fail_after(READ_WITHIN):
        async for part in request.stream():
            body += part
            if len(body) > MOST:
                raise _Refusal(413, f"more than {MOST} bytes")
    return bytes(body)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _reader(request: Request) -> Callable[[int], bytes]:
    """Reads a request's body from a thread, as much as is asked for."""
    parts = aiter(request.stream())
    rest = bytearray()

    async def more() -> bytes | None:
        with anyio.fail_after(READ_WITHIN):
            return await anext(parts, None)

    def read(length: int) -> bytes:
        while len(rest) < length:
            part = anyio.from_thread.run(more)
            if part is None:
                break
            rest.extend(part)
        data = bytes(rest[:length])
        del rest[:length]
        return data

    return read


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
