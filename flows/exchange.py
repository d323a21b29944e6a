"""What an action that runs elsewhere asks of the delivery server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import Any, Final

import httpx

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.errors import ActionFailed
from prefect_delivery.remote import ERRAND, OUTCOME, Errand, Outcome

PATIENCE: Final = 60.0
"""Seconds for which a server that does not answer is asked again."""
PAUSE: Final = 0.5
_TIMEOUT: Final = httpx.Timeout(30, read=300)


class Exchange:
    """The delivery server, as one action sees it.

    Every request may be made again: what was done already is not done twice.

    Args:
        address: Of `deliver server`, such as `http://10.0.0.5:4280`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._token = token_urlsafe(32)
        self._beats = 0
        self._client = httpx.Client(
            base_url=f"{address.rstrip('/')}/delivery/actions",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=_TIMEOUT,
        )

    def take(self, ticket: str) -> Errand:
        """Take what is to be done, which uses the ticket up.

        Raises:
            ActionFailed: It was used before, or the server cannot be reached.
        """
        body = {"ticket": ticket, "token": self._token}
        answer = self._ask(lambda: self._client.post("/take", json=body))
        return ERRAND.validate_json(answer.content)

    def beat(self, lines: list[str]) -> str | None:
        """Give a sign of life; says why to end, if so.

        Raises:
            ActionFailed: The server cannot be reached, or knows the action no more.
        """
        self._beats += 1
        body = {"number": self._beats, "lines": lines}
        answer = self._ask(lambda: self._client.post("/beat", json=body))
        reason: str | None = answer.json()["end"]
        return reason

    def fetch(self, digest: str, store: ArtifactStore) -> None:
        """Copy an artifact into a store of this machine.

        Raises:
            ActionFailed: The server does not hand it out, or cannot be reached.
            ArtifactError: What came is not the artifact.
        """
        if store.has(digest):
            return
        with (
            self._explained(),
            self._client.stream("GET", f"/artifacts/{digest}") as answer,
        ):
            if answer.is_error:
                answer.read()
            store.receive(digest, _reader(_checked(answer).iter_bytes()))

    def keep(self, digest: str, store: ArtifactStore) -> None:
        """Copy an artifact of this machine's store to the server's.

        Raises:
            ActionFailed: The server does not take it, or cannot be reached.
        """
        self._ask(
            lambda: self._client.put(f"/artifacts/{digest}", content=store.send(digest))
        )

    def secret(self, name: str) -> str:
        """The value of a secret that the action refers to.

        Raises:
            ActionFailed: It cannot be had.
        """
        answer = self._ask(lambda: self._client.get(f"/secrets/{name}"))
        value: str = answer.json()["value"]
        return value

    def finish(self, outcome: Outcome) -> None:
        """Leave the outcome, after which nothing more is answered.

        Raises:
            ActionFailed: The server does not take it, or cannot be reached.
        """
        body = OUTCOME.dump_json(outcome)
        self._ask(lambda: self._client.post("/outcome", content=body))

    def _ask(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send; again for a while where the server does not answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = send()
                if answer.status_code < 500:
                    return _checked(answer)
                said = f"answers {answer.status_code}"
            except httpx.TransportError as error:
                said = f"does not answer: {error}"
            if time.monotonic() > deadline:
                raise ActionFailed(f"the delivery server at {self.address} {said}")
            time.sleep(PAUSE)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            said = f"the delivery server at {self.address} does not answer: {error}"
            raise ActionFailed(said) from error


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        told: Any = answer.json()
        said, hint = str(told["said"]), told.get("hint")
    except (ValueError, KeyError, TypeError):
        said, hint = f"the delivery server answers {answer.status_code}", None
    raise ActionFailed(said, hint=hint)


def _reader(parts: Iterator[bytes]) -> Callable[[int], bytes]:
    """Reads from parts of any length as much as is asked for."""
    rest = bytearray()

    def read(length: int) -> bytes:
        while len(rest) < length and (part := next(parts, None)) is not None:
            rest.extend(part)
        data = bytes(rest[:length])
        del rest[:length]
        return data

    return read
