"""What the environments in AWS have in common: an identity, patience, marks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, TypeVar

from botocore.config import Config  # type: ignore[import-untyped]  # no py.typed
from botocore.exceptions import (  # type: ignore[import-untyped]  # no py.typed
    ClientError,
    HTTPClientError,
)
from prefect_aws import AwsCredentials
from pydantic import Field, PrivateAttr

from prefect_delivery.blocks.aws_session import BUSY, AwsSession, aws_session
from prefect_delivery.blocks.environment import Environment
from prefect_delivery.errors import ActionFailed, LeaseLost
from prefect_delivery.ledger import Release
from prefect_delivery.permissions import Permission, arn

R = TypeVar("R")

INTERVAL = 2.0
"""Seconds between two looks at a change that AWS carries out."""
ATTEMPTS = 3
"""How often more a change is tried of which nobody knows whether it was made."""
ONE_ATTEMPT: Final = Config(retries={"mode": "standard", "total_max_attempts": 1})
RELEASE = "prefect-delivery:release"
BEFORE = "prefect-delivery:before"
FENCE = "prefect-delivery:fence"
"""Keys of tags: a release's digest, what served before it, the newest lease."""


class AwsEnvironment(Environment):
    """A target in AWS, which is reached under one identity."""

    _logo_url: ClassVar[Any] = AwsCredentials._logo_url

    credentials: str | None = Field(
        default=None,
        description="Name of an AwsCredentials block; by default the worker's own.",
    )
    role_arn: str | None = Field(
        default=None, description="Role to take on, in this or another account."
    )
    region: str | None = Field(
        default=None, description="By default that of the block, or of the worker."
    )
    timeout: float = Field(
        default=60,
        gt=0,
        le=720,
        description="Minutes until a change that AWS does not end has failed.",
    )
    _stopped: tuple[str, threading.Event] | None = PrivateAttr(default=None)

    @property
    def identity(self) -> str:
        """What tells the target from others of its kind, whatever else is configured."""
        region = AwsSession(self.credentials, None, self.region).region
        who = [part for part in (self.credentials, self.role_arn) if part]
        return f"{self.kind}:{'/'.join([*who, region, self.target])}"

    @property
    def target(self) -> str:
        """Name of the target in its account and region."""
        raise NotImplementedError

    def permissions(self) -> list[Permission]:
        """What the identity must be allowed to do, besides taking on a role."""
        raise NotImplementedError

    def _arn(self, service: str, resource: str) -> str:
        return arn(service, resource, role=self.role_arn, region=self.region)

    def heed(self, release: Release, stopped: threading.Event) -> None:
        """Wait no longer for the release once the event is set."""
        self._stopped = (release.digest, stopped)

    @contextmanager
    def _aws(self) -> Iterator[AwsSession]:
        with aws_session(self.credentials, self.role_arn, self.region) as session:
            yield session

    def _until(
        self, probe: Callable[[], R | None], what: str, release: Release | None = None
    ) -> R:
        """Ask again and again until there is an answer.

        Args:
            release: For which we wait, and no longer when that is stopped.

        Raises:
            ActionFailed: No answer in time, or stopped.
        """
        deadline = time.monotonic() + self.timeout * 60
        while (answer := probe()) is None:
            if time.monotonic() > deadline:
                raise ActionFailed(f"{what} has not ended in {self.timeout:g} min")
            self._pause(release)
        return answer

    def _once(self, is_done: Callable[[], bool], do: Callable[[], object]) -> None:
        """Do what has no idempotency token: look first, and again when nobody knows.

        Args:
            do: Made with `ONE_ATTEMPT`, as botocore would repeat it without a look.
        """
        for last in (*[False] * ATTEMPTS, True):
            if is_done():
                return
            try:
                do()
            except (HTTPClientError, ClientError) as error:
                if last or not _is_unsure(error):
                    raise
                time.sleep(INTERVAL)
            else:
                return

    def _pause(self, release: Release | None) -> None:
        if release and self._stopped and self._stopped[0] == release.digest:
            if self._stopped[1].wait(INTERVAL):
                raise ActionFailed("stopped")
        else:
            time.sleep(INTERVAL)


def _is_unsure(error: HTTPClientError | ClientError) -> bool:
    if isinstance(error, HTTPClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in BUSY


def check_fence(seen: str | int | None, fence: int, what: str) -> None:
    """Refuse to change a target that has seen a newer lease.

    Raises:
        LeaseLost: It has.
    """
    if seen is not None and int(seen) > fence:
        raise LeaseLost(
            f"{what} was changed under lease {seen}; lease {fence} is older",
            hint="if its ledger was replaced, remove this mark from the target",
        )
