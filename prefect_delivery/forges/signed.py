"""A form of our own, for servers and scripts that know none of the forges'.

A JSON object with `repository`, `ref`, `revision` and, if known, `before` and `by`. The
headers are `X-Delivery-Timestamp`, in seconds since 1970, and `X-Delivery-Signature`:
`sha256=` and the HMAC-SHA256 of the timestamp, a full stop and the body. `X-Delivery-Id`
may name the delivery.
"""

import time
from collections.abc import Callable, Sequence

from prefect_delivery.changes import Change
from prefect_delivery.forges.forge import (
    Commit,
    Forge,
    Headers,
    Name,
    Payload,
    Ref,
    Url,
    commit_or_none,
    has_signature,
)

FRESH = 300.0
"""Seconds by which the sender's clock may differ, and a delivery may be late."""


class _Push(Payload):
    repository: Url
    ref: Ref
    revision: Commit
    before: Commit | None = None
    by: Name = ""


class Signed(Forge):
    """Anything that can compute an HMAC, such as a `post-receive` hook.

    Args:
        now: Seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def is_genuine(self, headers: Headers, body: bytes, keys: Sequence[bytes]) -> bool:
        stamp = headers.get("x-delivery-timestamp", "")
        scheme, _, given = headers.get("x-delivery-signature", "").partition("=")
        signed = stamp.encode() + b"." + body
        fits = has_signature(given, signed, keys) and scheme == "sha256"
        if not fits or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 20):
            return False
        return abs(self._now() - int(stamp)) <= FRESH

    def delivery(self, headers: Headers) -> str:
        return headers.get("x-delivery-id", "")

    def read(self, headers: Headers, body: bytes) -> list[Change]:
        push = _Push.model_validate_json(body)
        after = commit_or_none(push.revision)
        before = commit_or_none(push.before)
        if after is None and before is None:
            return []
        return [
            Change(
                kind="push",
                repository=push.repository,
                ref=push.ref,
                revision=after or before or "",
                before=before,
                deleted=after is None,
                by=push.by,
            )
        ]
