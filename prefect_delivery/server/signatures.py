"""Who has signed a request, as AWS' clients sign theirs.

The signature is made again by botocore's own signer, from the secret that belongs to the
access key. Source: "AWS Signature Version 4 for API requests".
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # no py.typed
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # no py.typed
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # no py.typed

FRESH: Final = timedelta(minutes=5)
"""How far the clock of a signer may be off."""
SIGNED: Final = frozenset({"host", "x-amz-date", "x-amz-target"})
"""Headers that must be signed, since they say what is asked, of whom and when."""
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z]+)/aws4_request,"
    r"\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})"
)
_DATE = "%Y%m%dT%H%M%SZ"


class Signature:
    """A request's signature.

    Attributes:
        access_key: Who says that they have signed it.
    """

    def __init__(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        found = _HEADER.fullmatch(headers.get("authorization", ""))
        self.access_key = found[1] if found else ""
        self._found = found
        self._method = method
        self._url = url
        self._headers = headers

    def is_of(
        self, secret: str, body: bytes, *, service: str, now: datetime | None = None
    ) -> bool:
        """Whether it was made with a secret, for a service, a moment ago.

        Args:
            now: By default the time of this machine.
        """
        if self._found is None or self._found[4] != service:
            return False
        _, day, region, _, names, signature = self._found.groups()
        signed = names.split(";")
        date = self._headers.get("x-amz-date", "")
        if not SIGNED.issubset(signed) or date[:8] != day:
            return False
        if any(name not in self._headers for name in signed):
            return False
        if not _is_fresh(date, now or datetime.now(UTC)):
            return False
        request = AWSRequest(
            method=self._method,
            url=self._url,
            headers={name: self._headers[name] for name in signed},
            data=body,
        )
        request.context["timestamp"] = date
        signer = SigV4Auth(Credentials(self.access_key, secret), service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return hmac.compare_digest(signer.signature(text, request), signature)


def _is_fresh(date: str, now: datetime) -> bool:
    try:
        signed = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(now - signed) <= FRESH
