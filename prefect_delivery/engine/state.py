"""What the ledger says of an execution, as the engine sees it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from prefect_delivery.definition.models import Pipeline


class Status(StrEnum):
    """Statuses of executions, stages and actions (CodePipeline's, reference A3).

    WAITING is ours: an action that was asked and has no answer yet, or an execution all
    of whose running actions are waiting.
    """

    IN_PROGRESS = "in-progress"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in {Status.IN_PROGRESS, Status.WAITING, Status.STOPPING}


@dataclass(frozen=True, kw_only=True)
class ArtifactRef:
    """An artifact of an execution: its digest and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, kw_only=True)
class ActionRun:
    """One attempt at one action.

    Attributes:
        attempt: From 1, counted per action of an execution.
        error: Why it failed, in one line; None otherwise.
        artifacts: By artifact name.
        variables: Output variables by name.
        reports: Test and coverage reports as plain data.
        retryable: False when another attempt cannot help (stopped by a person).
        due: When one that waits is to be asked again; None when it waits for a person.
    """

    attempt: int
    status: Status
    started: datetime
    ended: datetime | None = None
    error: str | None = None
    summary: str | None = None
    link: str | None = None
    artifacts: dict[str, ArtifactRef] = field(default_factory=dict[str, ArtifactRef])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    reports: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    retryable: bool = True
    due: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """One stage of an execution.

    Attributes:
        actions: Every attempt of every action that was started, oldest first; those of
            rules as well, under names such as `before_entry:business-hours`.
        baseline: By action, how many of its first attempts no longer count, since
            somebody asked to retry the stage.
        overridden: By condition, who said that it need not be met, and why.
    """

    status: Status
    started: datetime | None = None
    ended: datetime | None = None
    reason: str | None = None
    actions: dict[str, tuple[ActionRun, ...]] = field(
        default_factory=dict[str, tuple[ActionRun, ...]]
    )
    baseline: dict[str, int] = field(default_factory=dict[str, int])
    overridden: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A person's wish to stop an execution.

    Attributes:
        abandon: End what runs, rather than wait for it.
        hold: Leave a rollout that is under way where it is, rather than undo it.
    """

    by: str
    reason: str
    abandon: bool = False
    hold: bool = False


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What an execution brings along from another one: a rollback from the one it goes
    back to, a promotion from the one that made the release.

    Attributes:
        execution: Id of that execution.
        artifacts: By artifact name.
        variables: By namespace and name.
        purpose: What the execution is.
        environment: Where a promoted release runs already, as the ledger names it.
        older: Whether a promotion may replace a newer release, as somebody has said.
    """

    execution: str
    artifacts: dict[str, ArtifactRef] = field(default_factory=dict[str, ArtifactRef])
    variables: dict[str, dict[str, str]] = field(
        default_factory=dict[str, dict[str, str]]
    )
    purpose: Literal["rollback", "promotion"] = "rollback"
    environment: str | None = None
    older: bool = False


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution of a pipeline, with the snapshot it runs on.

    Attributes:
        id: Unique over all pipelines.
        number: From 1, per pipeline; people say `shop #42`.
        variables: Resolved pipeline variables.
        revisions: What each source action is pinned to or resolved to, by action name.
        trigger: What started it, such as `manual` or `push`.
        started_by: Who started it.
        stages: The stages that were entered.
        only: Stages this execution is limited to (a rollback); None for all.
        carried: What a rollback or promotion brings along from another execution.
        flow_run: Id of the Prefect flow run that drives it, if any.
        deployed: Whether a worker of Prefect's carries that flow run out, again if asked.
        untrusted: Whether it runs what a pull request brings; what its actions leave is
            never taken for what a trusted one would have left.
        fresh: Whether all of its actions run, also those that are cached.
    """

    id: str
    pipeline: str
    number: int
    definition: Pipeline
    status: Status
    started: datetime
    ended: datetime | None = None
    reason: str | None = None
    variables: dict[str, str] = field(default_factory=dict[str, str])
    revisions: dict[str, str] = field(default_factory=dict[str, str])
    trigger: str = "manual"
    started_by: str = ""
    stages: dict[str, StageRun] = field(default_factory=dict[str, StageRun])
    stop: Stop | None = None
    only: tuple[str, ...] | None = None
    carried: Carried | None = None
    flow_run: str | None = None
    deployed: bool = False
    untrusted: bool = False
    fresh: bool = False

    @property
    def title(self) -> str:
        return f"{self.pipeline} #{self.number}"

    @property
    def is_rollback(self) -> bool:
        """Whether it goes back to what was let in before, so that nobody is asked."""
        return self.carried is not None and self.carried.purpose == "rollback"
