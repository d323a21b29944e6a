"""What an action is: a Prefect task whose signature is its configuration.

`@action("build/commands")` makes an ordinary Prefect task of a function and notes its
name. `definition.catalogue` is generated from these signatures; nothing else is kept.
An action's parameters are its configuration, except those annotated `Artifact`,
`list[Artifact]` or `dict[str, Artifact]` (its inputs), `Patterns` named `outputs` (the
artifacts it leaves) and `Job` (its handle on the run).
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final, ParamSpec, Protocol, TypeVar

from httpx import TransportError
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger
from pydantic import Field

from prefect_delivery.artifacts import Artifact
from prefect_delivery.errors import ActionFailed
from prefect_delivery.holder import this_holder

if TYPE_CHECKING:
    import logging

__all__ = [
    "ACTION",
    "CACHEABLE",
    "PERMISSIONS",
    "VARIABLES",
    "ActionFailed",
    "Address",
    "Artifact",
    "Job",
    "Megabytes",
    "Minutes",
    "Outputs",
    "Patterns",
    "Report",
    "Seconds",
    "ShellLine",
    "Watched",
    "action",
]

P = ParamSpec("P")
R = TypeVar("R")

ACTION = "delivery_action"
VARIABLES = "delivery_variables"
CACHEABLE = "delivery_cacheable"
WATCHED = "delivery_watched"
PERMISSIONS = "delivery_permissions"
"""Attributes of a task in which `@action` notes what it was told."""

UNSURE: Final = (OSError, TransportError)
"""Errors after which a request may have had its effect or not."""
PAUSES: Final = (0.5, 2.0, 8.0)
"""Seconds before such a request is made again."""

Minutes = Annotated[float, Field(gt=0, le=86_400)]
Seconds = Annotated[float, Field(gt=0)]
Megabytes = Annotated[int, Field(gt=0)]
Address = Annotated[str, Field(json_schema_extra={"format": "address"})]
"""A URL, or a path when it starts with a dot; a definition's is relative to its file."""
ShellLine = Annotated[str, Field(json_schema_extra={"x-no-variables": True})]
"""A line for a shell. `#{...}` is refused in it: values reach a shell by environment."""
Patterns = dict[str, list[str]]
"""Artifacts by name, each with the glob patterns of its files."""


Configuration = Mapping[str, Any]
"""What a definition says of an action in `with:`, its variables filled in."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """How changes of a source are found that nobody tells of.

    Attributes:
        address: Names the source: the same for the same source, and for no other.
        look: The cheap question for what it has now: revisions by ref, `OBJECT` where
            it is one thing; empty where it has nothing yet. It answers within half a
            minute, and raises `ActionFailed` where the source cannot be read.
    """

    address: Callable[[Configuration], str]
    look: Callable[[Configuration], dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a test or coverage run says.

    Attributes:
        kind: `tests` or `coverage`.
        passed: Number of tests that passed.
        coverage: Share of covered lines, 0 to 100; None for test reports.
        failures: Name, place and message of each failed test, at most 50.
    """

    kind: str
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    coverage: float | None = None
    failures: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What an action leaves.

    Attributes:
        artifacts: By output name; a source leaves one, under any name.
        variables: For `#{namespace.name}` in later actions.
        reports: Test and coverage reports.
        summary: One line for the stage view, such as `412 passed`.
        link: Where a person can see more.
        waiting: True when the action has asked and the answer comes later, by
            somebody's decision in the ledger.
        again: When to carry it out again, since it has no answer yet. Until then it
            waits, at most as long as the action's or rule's `timeout`.
    """

    artifacts: dict[str, Artifact] = field(default_factory=dict[str, Artifact])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    reports: tuple[Report, ...] = ()
    summary: str | None = None
    link: str | None = None
    waiting: bool = False
    again: datetime | None = None


class External(Protocol):
    """Where a job notes the ids of work it started elsewhere."""

    def external_id(self, key: str) -> str | None: ...
    def note_external_id(self, key: str, external_id: str) -> None: ...


class Job:
    """An action's handle on its run: workspace, log, cancellation, outside ids.

    Made with no arguments it serves a task that is called from anybody's flow.

    Attributes:
        key: Idempotency key, the same for every attempt to carry out this action run.
        name: `Stage / action`.
        pipeline: Name of the pipeline; empty in a foreign flow.
        execution: Id of the execution; empty in a foreign flow.
        environments: Environment configurations of the definition, by name.
        revision: What a source is pinned to, if anything.
        cancelled: Set when the action shall end; `reason` then says why.
        retryable: False when another attempt cannot help.
    """

    def __init__(
        self,
        *,
        key: str = "",
        name: str = "",
        pipeline: str = "",
        execution: str = "",
        environments: Mapping[str, Mapping[str, Any]] | None = None,
        revision: str | None = None,
        workspaces: Path | None = None,
        log: Callable[[str], None] | None = None,
        external: External | None = None,
    ) -> None:
        self.key = key
        self.name = name
        self.pipeline = pipeline
        self.execution = execution
        self.environments = environments or {}
        self.revision = revision
        self.cancelled = threading.Event()
        self.reason = "stopped"
        self.retryable = True
        self._workspaces = workspaces
        self._log = log
        self._external = external
        self._stops: list[Callable[[], None]] = []

    @property
    def condition(self) -> str | None:
        """`before_entry`, `on_success` or `on_failure` where a rule runs; else None."""
        name = self.key.split("/")[2] if self.key.count("/") == 3 else ""
        return name.partition(":")[0] if ":" in name else None

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A private folder (mode 0700), removed with all it holds when left."""
        if self._workspaces:
            self._workspaces.mkdir(parents=True, exist_ok=True)
        holder = this_holder()
        with TemporaryDirectory(
            dir=self._workspaces, ignore_cleanup_errors=True
        ) as name:
            # It tells `reconcile` whose workspace this is, should we be killed. So it
            # is the first thing to be there, and the last to go.
            (Path(name) / "holder").write_text(holder)
            work = Path(name) / "work"
            work.mkdir()
            try:
                yield work
            finally:
                rmtree(work, ignore_errors=True)

    def log(self, line: str) -> None:
        """Add a line to the run's log; control characters are shown, not sent."""
        if self._log:
            self._log(line)
        else:
            run_logger().info("%s", line)

    def cancel(self, reason: str) -> None:
        """Ask the action to end, and end the outside work it told us of."""
        self.reason = reason
        self.cancelled.set()
        for stop in reversed(self._stops):
            stop()

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the action is cancelled; at once if it already is."""
        self._stops.append(stop)
        if self.cancelled.is_set():
            stop()

    def start_or_attach(
        self, start: Callable[[], str], *, unsure: tuple[type[Exception], ...] = UNSURE
    ) -> str:
        """Start outside work once: a second attempt gets the id of the first.

        `start` is called again when nobody knows what it did: after a crash before its
        id was noted, and when the connection broke. So it gives `key` to the service as
        idempotency token, or looks for work of that name before it starts any.

        Args:
            unsure: Errors after which the work may have been started or not.

        Raises:
            ActionFailed: It stays unknown. The action is not retried then, since that
                would be work of another key.
        """
        known = self._external.external_id(self.key) if self._external else None
        if known:
            return known
        external_id = self._started(start, unsure)
        if self._external:
            self._external.note_external_id(self.key, external_id)
        return external_id

    def _started(
        self, start: Callable[[], str], unsure: tuple[type[Exception], ...]
    ) -> str:
        for pause in PAUSES:
            try:
                return start()
            except unsure as error:
                self.log(f"nobody knows whether it was started: {error}; asking again")
            if self.cancelled.wait(pause):
                break
        try:
            return start()
        except unsure as error:
            self.retryable = False
            raise ActionFailed(
                f"nobody knows whether it was started: {error}",
                hint=f"look for '{self.key}' there before you retry",
            ) from error

    def poll(
        self,
        probe: Callable[[], R | None],
        *,
        timeout: float = 60,
        interval: float = 5,
    ) -> R:
        """Ask `probe` every `interval` seconds until it answers.

        Args:
            timeout: Minutes until the work is stopped and the action fails.

        Raises:
            ActionFailed: Cancelled, or no answer in time.
        """
        deadline = time.monotonic() + timeout * 60
        while (answer := probe()) is None:
            if self.cancelled.wait(interval):
                raise ActionFailed(self.reason)
            if time.monotonic() > deadline:
                self.cancel(f"did not end within {timeout:g} min")
        return answer


def run_logger() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """The logger of the Prefect run we are in, or a plain one outside of runs."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("prefect_delivery")


def action(
    name: str,
    *,
    variables: Mapping[str, str] | None = None,
    cacheable: bool = False,
    watched: Watched | None = None,
    permissions: Sequence[str] = (),
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a Prefect task of a function, to be used in pipelines as `name`.

    Args:
        name: `category/provider`, as in `uses:`.
        variables: Output variables and what they hold, for the reference page and for
            checking `#{namespace.name}`.
        cacheable: Whether a definition may say `cache` of it: its outputs are all that
            it does, and come of nothing but its inputs, its configuration, the values
            of `secrets`, the container image `image` or else the machine it runs on.
        watched: Of a source that is no git repository: how `watch` finds its changes.
        permissions: What IAM must allow the action's identity in AWS, such as
            `codebuild:StartBuild`.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        # Prefect's result cache would serve an old outcome for a repeated deploy.
        made = Task(function, name=name, cache_policy=NO_CACHE, persist_result=False)
        setattr(made, ACTION, name)
        setattr(made, VARIABLES, dict(variables or {}))
        setattr(made, CACHEABLE, cacheable)
        setattr(made, WATCHED, watched)
        setattr(made, PERMISSIONS, tuple(permissions))
        return made

    return decorate
