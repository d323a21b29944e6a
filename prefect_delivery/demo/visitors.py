"""People who use the service all the time, and notice when it is not there."""

import threading
from types import TracebackType
from typing import Self

import httpx

PAUSE = 0.005
"""Seconds between two requests of one visitor."""


class Visitors:
    """Asks for a page over and over while a block runs.

    Attributes:
        answered: Requests that were answered rightly.
        failed: Requests that were not.
        last: How the last failed one failed.
    """

    def __init__(self, url: str, people: int = 2) -> None:
        self.answered = 0
        self.failed = 0
        self.last = ""
        self._url = url
        self._gone = threading.Event()
        self._count = threading.Lock()
        self._people = [threading.Thread(target=self._visit) for _ in range(people)]

    def __enter__(self) -> Self:
        for visitor in self._people:
            visitor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._gone.set()
        for visitor in self._people:
            visitor.join()

    def _visit(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self._gone.wait(PAUSE):
                problem = self._problem(client)
                with self._count:
                    self.answered += not problem
                    self.failed += bool(problem)
                    self.last = problem or self.last

    def _problem(self, client: httpx.Client) -> str:
        try:
            answer = client.get(self._url)
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        return "" if answer.is_success else f"status {answer.status_code}"
