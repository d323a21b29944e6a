"""What the engine can ask for: the whole vocabulary of `decide`."""

from dataclasses import dataclass
from datetime import datetime

from prefect_delivery.engine.state import Status


@dataclass(frozen=True)
class EnterStage:
    """Enter a stage whose needs are met, as soon as its gate lets us in."""

    stage: str


@dataclass(frozen=True)
class RetryStage:
    """Run a failed stage again by itself, once."""

    stage: str
    all_actions: bool


@dataclass(frozen=True)
class StartAction:
    """Start an attempt at an action."""

    stage: str
    action: str
    attempt: int


@dataclass(frozen=True)
class AskAgain:
    """Carry out an attempt again that had no answer yet."""

    stage: str
    action: str
    attempt: int


@dataclass(frozen=True)
class CancelAction:
    """End a running or waiting attempt; asked again until it has ended.

    Attributes:
        status: Of an attempt that only waits; one that runs fails.
    """

    stage: str
    action: str
    attempt: int
    reason: str
    retryable: bool
    status: Status = Status.FAILED


@dataclass(frozen=True)
class EndStage:
    """Close a stage: all of its attempts have ended."""

    stage: str
    status: Status
    reason: str | None = None


@dataclass(frozen=True)
class End:
    """Close the execution: all of its stages have ended."""

    status: Status
    reason: str | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing to do until something ends, somebody decides, or `until` has come."""

    reason: str
    until: datetime | None = None


Step = (
    EnterStage
    | RetryStage
    | StartAction
    | AskAgain
    | CancelAction
    | EndStage
    | End
    | Wait
)
