"""Ask an address over HTTP, within a time that counts for the whole answer."""

import asyncio
import errno
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import httpx

LARGEST: Final = 16_000_000
"""Bytes of an answer that we read."""


@dataclass(frozen=True)
class Answer:
    """What a server has said."""

    status: int
    body: bytes
    encoding: str

    @property
    def text(self) -> str:
        """The body, with a replacement for each byte that is no text."""
        return self.body.decode(self.encoding, errors="replace")


def fetch(
    url: str, *, timeout: float, parameters: Mapping[str, str] | None = None
) -> Answer:
    """The answer to a GET. The proxies of this machine are not used.

    Args:
        timeout: Seconds until all of the answer must be there. The time-outs of clients
            count from byte to byte, so that a server that drips holds them for ever.

    Raises:
        httpx.HTTPError: There is no answer in time, or one of more than `LARGEST` bytes.
    """
    # An event loop can be left at any byte; a thread of its own since there may be one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _within(timeout, url, parameters)).result()


async def _within(
    timeout: float, url: str, parameters: Mapping[str, str] | None
) -> Answer:
    try:
        async with asyncio.timeout(timeout):
            return await _asked(url, parameters)
    except TimeoutError:
        said = f"no whole answer after {timeout:g} s"
        raise httpx.ReadTimeout(said) from None
    except httpx.ConnectError as error:
        raise httpx.ConnectError(_cause(error)) from error


async def _asked(url: str, parameters: Mapping[str, str] | None) -> Answer:
    body = bytearray()
    async with (
        httpx.AsyncClient(timeout=None, trust_env=False) as client,  # noqa: S113, ours
        client.stream("GET", url, params=parameters) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > LARGEST:
                raise httpx.ReadError(f"the answer has more than {LARGEST:,} bytes")
        return Answer(answer.status_code, bytes(body), answer.encoding or "utf-8")


def _cause(error: BaseException) -> str:
    """What the system says, below the general words that are said of it."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number)
    return str(error) or type(error).__name__
