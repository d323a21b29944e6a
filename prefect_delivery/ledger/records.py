"""What the ledger hands out, besides executions (`engine.state`)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import ArtifactRef

RolloutKind = Literal["forward", "rollback"]
WaitKind = Literal["lock", "transition", "ended"]
"""Somebody else is in the stage or before it; it is frozen; it had ended until somebody
retried it."""
RolloutStatus = Literal["open", "committed", "rolled-back", "rollback-failed", "held"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A claim on an execution.

    Attributes:
        number: Fencing token: grows with every claim of the execution.
        ttl: Seconds that a renewal lasts.
        expires: When the claim may be taken over, unless it is renewed.
    """

    execution_id: str
    number: int
    holder: str
    ttl: float
    expires: datetime


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who has claimed an execution.

    Attributes:
        expired: Whether the claim had run out when this was read.
    """

    holder: str
    expires: datetime
    expired: bool


@dataclass(frozen=True, kw_only=True)
class Unattended:
    """A deployed execution that no process drives, as far as the ledger knows.

    Attributes:
        holder: Who drove it and gives no sign any more; None when it was left.
        silent: Seconds since it was left, or since its claim ran out.
    """

    execution_id: str
    flow_run: str
    holder: str | None
    silent: float


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to change what `name` stands for, such as an environment.

    Attributes:
        token: Fencing token: grows with every taking, also after a release.
        ttl: Seconds that a renewal lasts.
        expires: When it may be taken over, unless it is renewed.
    """

    name: str
    holder: str
    token: int
    ttl: float
    expires: datetime


@dataclass(frozen=True, kw_only=True)
class Release:
    """What an environment runs; never changes.

    Attributes:
        digest: SHA-256 over everything but the execution and the time.
        execution_id: The execution that made it first; empty outside of pipelines.
        number: That execution's number; 0 outside of pipelines.
        revisions: What each source action resolved to, by action name.
    """

    digest: str
    pipeline: str
    execution_id: str
    number: int
    artifact: ArtifactRef
    revisions: dict[str, str]
    definition_digest: str
    variables: dict[str, str]
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a rollout: what was intended, and what came of it.

    Attributes:
        seq: From 1, per rollout.
        outcome: None while nobody has recorded one: the target must be asked.
    """

    seq: int
    verb: str
    detail: dict[str, Any]
    intended: datetime
    outcome: str | None = None
    ended: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One release going into one environment.

    Attributes:
        release: Digest of the release that goes in.
        previous: Digest of the release that was current before; None for the first.
    """

    id: str
    environment: str
    release: str
    previous: str | None
    execution_id: str
    kind: RolloutKind
    status: RolloutStatus
    opened: datetime
    closed: datetime | None = None
    reason: str | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Transition:
    """The disabled way into a stage: by whom, why, and since when."""

    pipeline: str
    stage: str
    by: str
    reason: str
    disabled: datetime


@dataclass(frozen=True, kw_only=True)
class Waited:
    """Why a stage waited to be entered, and how long; `until` is None while it does."""

    stage: str
    kind: WaitKind
    reason: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A release that may not come back into an environment.

    Attributes:
        automatic: Whether nobody has asked for it: its checks had failed.
    """

    environment: str
    release: str
    by: str
    reason: str
    since: datetime
    automatic: bool


@dataclass(frozen=True, kw_only=True)
class EnvironmentState:
    """What the ledger knows of an environment.

    Attributes:
        current: Digest of the release that was committed last; None for none.
        locked: Why nothing may be rolled out; None when it may.
        stopped: By whom and why all that ran there was stopped, until something is
            rolled out again.
    """

    name: str
    kind: str
    configuration: dict[str, Any] = field(default_factory=dict[str, Any])
    current: str | None = None
    locked: str | None = None
    stopped: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A pipeline that starts by itself.

    Attributes:
        deployment: Id of its Prefect deployment.
        origin: Repository, or folder, that its file came from.
        file: Path of the file in there.
        settings: What Prefect was told.
    """

    definition: Pipeline
    deployment: str
    origin: str
    file: str
    settings: dict[str, Any]
    by: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class NotedChange:
    """A change that came, and what became of it for one pipeline.

    Attributes:
        execution_id: What it started; None when it was ignored.
        reason: Why it was ignored.
    """

    pipeline: str
    change: str
    revision: str
    execution_id: str | None
    reason: str | None
    noted: datetime


@dataclass(frozen=True, kw_only=True)
class Message:
    """A webhook's delivery that was accepted.

    Attributes:
        changes: What it tells of, as JSON.
        tries: How often it could not be carried out.
    """

    position: int
    connection: str
    delivery: str
    changes: str
    tries: int
    received: datetime


@dataclass(frozen=True, kw_only=True)
class Told:
    """A commit status that a forge has, as far as the ledger knows.

    Attributes:
        said: What it was told last; empty for nothing yet.
        tries: How often it could not be told what is newer, and `error` why.
        due: Whether it is time to tell it what is newer.
    """

    said: str
    tries: int
    error: str | None
    due: bool


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Somebody outside who is told of what happens.

    Attributes:
        position: Number of the last entry of the audit log that it has heard of.
        behind: Entries since, most of which do not concern it.
        tries: How often it could not be told what comes next, and `error` why.
        since: When that began.
        due: Whether it is time to try again.
    """

    name: str
    position: int
    behind: int
    tries: int
    error: str | None
    since: datetime | None
    due: bool


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The right to tell a destination.

    Attributes:
        token: Fencing token: grows with every taking.
        position: Number of the last entry that it has heard of.
        tries: How often it could not be told what comes next.
        ttl: Seconds that each report of the sender lasts.
    """

    destination: str
    token: int
    position: int
    tries: int
    ttl: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the audit log.

    Attributes:
        hash: SHA-256 over the previous entry's hash and this entry.
    """

    seq: int
    at: datetime
    actor: str
    verb: str
    subject: str
    detail: dict[str, Any]
    hash: str


def later(now: datetime, ttl: float) -> datetime:
    """When something of `ttl` seconds that begins `now` expires."""
    return now + timedelta(seconds=ttl)


def never(holder: str) -> bool:
    """Nobody is known to be dead: claims and leases last until they expire."""
    return False
