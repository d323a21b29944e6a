"""What every forge's webhooks have in common."""

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from prefect_delivery.changes import Change

Headers = Mapping[str, str]
"""Names in any case."""

Commit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
# Nothing that git allows in no ref: such names could be patterns or options.
Ref = Annotated[
    str,
    StringConstraints(
        pattern=r"^refs/[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*$",
        max_length=1000,
    ),
]
Branch = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]*$",
        max_length=1000,
    ),
]
Url = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f]+$", max_length=2000)]
Name = Annotated[str, StringConstraints(max_length=500)]
Number = Annotated[int, Field(ge=1, le=2**53)]


class Payload(BaseModel):
    """Part of what a forge sends; what else is in it does not matter."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Forge(ABC):
    """Reads the webhooks of one kind of forge."""

    @abstractmethod
    def is_genuine(self, headers: Headers, body: bytes, keys: Sequence[bytes]) -> bool:
        """Whether whoever sent a body knows one of the keys."""

    @abstractmethod
    def delivery(self, headers: Headers) -> str:
        """The id of a delivery, the same when it is sent again; empty when it has none."""

    @abstractmethod
    def read(self, headers: Headers, body: bytes) -> list[Change]:
        """The changes that a body tells of; none where it tells of something else.

        Raises:
            ValidationError: It is not JSON, or not of the documented form.
        """


def has_signature(given: str, signed: bytes, keys: Sequence[bytes]) -> bool:
    """Whether a signature is the HMAC-SHA256 by one of the keys, in hexadecimal.

    Takes as long whether it is wrong at its first digit or its last.
    """
    fits = False
    for key in keys:
        wanted = hmac.new(key, signed, hashlib.sha256).hexdigest()
        fits |= hmac.compare_digest(wanted.encode(), given.encode())
    return fits


def commit_or_none(commit: str | None) -> str | None:
    """A commit; None for the zeros that stand for none."""
    return commit if commit and commit.strip("0") else None
