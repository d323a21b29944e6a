"""Checks that a release must pass while it gets traffic."""

import time

import httpx
from pydantic import BaseModel, ConfigDict, Field

from prefect_delivery.errors import ActionFailed
from prefect_delivery.web import fetch


class HttpCheck(BaseModel):
    """Ask for a page and look at the answer.

    A path is asked at the release itself and where people reach it; a whole URL is asked
    as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="/",
        pattern=r"^(/|https?://)",
        description="Path such as /health, or a whole URL.",
    )
    status: int = Field(
        default=200, ge=100, le=599, description="Status code that is right."
    )
    contains: str | None = Field(
        default=None, description="Text that the answer must contain."
    )
    timeout: float = Field(
        default=5, gt=0, le=300, description="Seconds to wait for one answer."
    )
    attempts: int = Field(
        default=3, ge=1, le=100, description="Tries before the check fails."
    )
    interval: float = Field(
        default=1, ge=0, le=300, description="Seconds between two tries."
    )

    def targets(
        self, itself: str | None, public: str | None, *, whole: bool
    ) -> list[str]:
        """The URLs to ask.

        Args:
            itself: Where the release itself answers, if it does.
            public: Where people reach it, if they do by now.
            whole: Whether a whole URL may be asked by now.
        """
        if not self.url.startswith("/"):
            return [self.url] if whole else []
        bases = dict.fromkeys(base for base in (itself, public) if base)
        return [base.rstrip("/") + self.url for base in bases]

    def run(self, url: str) -> None:
        """Ask `url` until the answer is right.

        Raises:
            ActionFailed: No answer was right; names the last one.
        """
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.interval)
            problem = self._problem(url)
            if not problem:
                return
        raise ActionFailed(f"check {url}: {problem}")

    def _problem(self, url: str) -> str | None:
        try:
            answer = fetch(url, timeout=self.timeout)
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        if answer.status != self.status:
            return f"status {answer.status}, not {self.status}"
        if self.contains and self.contains not in answer.text:
            return f"the answer does not contain '{self.contains}'"
        return None
