"""Shows an execution while it goes on: as a live tree, or line by line."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live

from prefect_delivery.cli.terminal import console, may_move, one_line, write
from prefect_delivery.cli.views import changes, headline, tree
from prefect_delivery.engine.state import Execution


class Reporter(Protocol):
    """Shows what happens; its methods may be called from any thread."""

    def changed(self, execution: Execution) -> None:
        """Show how an execution stands now."""
        ...

    def line(self, action: str, line: str) -> None:
        """Show a line that an action logged; `action` is `Stage / action`."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Keep still inside of the block, so that somebody can be asked."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *ended: object) -> None: ...


def reporter(*, lines: bool = False, known: Execution | None = None) -> Reporter:
    """The reporter for this terminal.

    Args:
        lines: Show every line that actions log, instead of a tree.
        known: What need not be told line by line, since it happened before.
    """
    if may_move() and not lines:
        return LiveReporter()
    return PlainReporter(lines=lines, known=known)


class PlainReporter:
    """One line for each change, for logs and pipes."""

    def __init__(self, *, lines: bool = False, known: Execution | None = None) -> None:
        self._lines = lines
        self._seen = known
        self._titled = False
        self._lock = threading.Lock()

    def changed(self, execution: Execution) -> None:
        with self._lock:
            if not self._titled:
                write(execution.title)
                self._titled = True
            for line in changes(self._seen, execution, datetime.now(UTC)):
                write(line)
            self._seen = execution

    def line(self, action: str, line: str) -> None:
        if self._lines:
            with self._lock:
                write(f"{action} | {one_line(line)}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        return None


class LiveReporter:
    """A tree of stages and actions, redrawn in place."""

    def __init__(self) -> None:
        self._seen: Execution | None = None
        self._last: dict[str, str] = {}
        self._closed = False
        self._live = self._new()

    def changed(self, execution: Execution) -> None:
        self._seen = execution

    def line(self, action: str, line: str) -> None:
        if shown := one_line(line):
            self._last[action] = shown

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            if not self._closed:
                # The old one would draw over the question.
                self._live = self._new()
                self._live.start(refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._closed = True
        self._live.stop()

    def _new(self) -> Live:
        return Live(
            console=console(), refresh_per_second=4, get_renderable=self._drawing
        )

    def _drawing(self) -> Group:
        if self._seen is None:
            return Group()
        now = datetime.now(UTC)
        return Group(headline(self._seen, now), tree(self._seen, now, self._last))
