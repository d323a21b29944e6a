"""Where an execution's time went: running or waiting, per stage, and the critical path.

Pure functions over what the ledger says. Where several things go on at once in a stage,
the time counts once: as running if anything runs, else as the first of `ORDER`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal

from prefect_delivery.engine.conditions import as_asked, is_rule, shown, spec_of
from prefect_delivery.engine.state import ActionRun, Execution
from prefect_delivery.ledger import Waited

Kind = Literal[
    "running", "approval", "rule", "ended", "transition", "lock", "retry delay"
]
ORDER: Final[tuple[Kind, ...]] = (
    "running",
    "approval",
    "rule",
    "ended",
    "transition",
    "lock",
    "retry delay",
)
RUNNING: Final = "running"
MEANING: Final[dict[Kind, str]] = {
    "running": "running",
    "approval": "waited for approval",
    "rule": "waited for rules",
    "ended": "had ended until retried",
    "transition": "waited for a frozen stage",
    "lock": "waited for its turn",
    "retry delay": "waited before a retry",
}


@dataclass(frozen=True, kw_only=True)
class Leg:
    """A stretch of time, and what it was spent on.

    Attributes:
        name: Of the action or rule; None for a wait before the stage.
        reason: What was waited for, where the ledger has it.
    """

    stage: str
    kind: Kind
    start: datetime
    end: datetime
    name: str | None = None
    reason: str | None = None

    @property
    def seconds(self) -> float:
        return max(0.0, (self.end - self.start).total_seconds())

    @property
    def title(self) -> str:
        return f"{self.stage} / {self.name}" if self.name else self.stage


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds in all, and by what they were spent on."""

    total: float
    by_kind: dict[Kind, float]

    @property
    def running(self) -> float:
        return self.by_kind.get(RUNNING, 0.0)

    @property
    def waiting(self) -> dict[Kind, float]:
        return {kind: s for kind, s in self.by_kind.items() if kind != RUNNING}


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Where the time of an execution went.

    Attributes:
        whole: From its start to its end, or to now.
        stages: Of those that were reached, in order.
        critical: The path without a gap to fill: what ended last, what had to end before
            that began, and so on; in order of time.
    """

    whole: Spent
    stages: dict[str, Spent]
    critical: tuple[Leg, ...]


def timing_of(execution: Execution, waits: Sequence[Waited], now: datetime) -> Timing:
    """Where an execution's time went, until now where it has not ended."""
    end = execution.ended or now
    legs = [*_waits(waits, end), *_actions(execution, end)]
    stages = {
        name: _spent(own)
        for name in execution.only or execution.definition.stages
        if (own := [leg for leg in legs if leg.stage == name])
    }
    total = max(0.0, (end - execution.started).total_seconds())
    return Timing(
        whole=Spent(total=total, by_kind=_by_kind(legs)),
        stages=stages,
        critical=tuple(reversed([*_path_back(execution, legs)])),
    )


def _waits(waits: Iterable[Waited], end: datetime) -> Iterator[Leg]:
    for wait in waits:
        yield Leg(
            stage=wait.stage,
            kind=wait.kind,
            start=wait.since,
            end=wait.until or end,
            reason=wait.reason,
        )


def _actions(execution: Execution, end: datetime) -> Iterator[Leg]:
    for stage, run in execution.stages.items():
        for name, attempts in run.actions.items():
            kind = _kind(execution, stage, name)
            for attempt in attempts:
                yield _leg(stage, name, kind, attempt.started, attempt.ended or end)
            for before, after in pairwise(attempts):
                yield from _delay(stage, name, before, after)


def _delay(stage: str, name: str, before: ActionRun, after: ActionRun) -> Iterator[Leg]:
    if before.ended is not None and before.ended < after.started:
        yield _leg(stage, name, "retry delay", before.ended, after.started)


def _leg(stage: str, name: str, kind: Kind, start: datetime, end: datetime) -> Leg:
    return Leg(stage=stage, name=shown(name), kind=kind, start=start, end=end)


def _kind(execution: Execution, stage: str, name: str) -> Kind:
    if is_rule(name):
        return "rule"
    uses = spec_of(execution.definition.stages[stage], name).uses
    return "approval" if uses.startswith("approval/") else "running"


def _spent(legs: Sequence[Leg]) -> Spent:
    first, last = min(leg.start for leg in legs), max(leg.end for leg in legs)
    total = max(0.0, (last - first).total_seconds())
    return Spent(total=total, by_kind=_by_kind(legs))


def _by_kind(legs: Sequence[Leg]) -> dict[Kind, float]:
    """Seconds by kind, in which each moment counts once."""
    found = dict.fromkeys(ORDER, 0.0)
    moments = sorted({moment for leg in legs for moment in (leg.start, leg.end)})
    for start, end in pairwise(moments):
        there = {leg.kind for leg in legs if leg.start <= start and end <= leg.end}
        if kind := next((kind for kind in ORDER if kind in there), None):
            found[kind] += (end - start).total_seconds()
    return {kind: seconds for kind, seconds in found.items() if seconds}


def _path_back(execution: Execution, legs: Sequence[Leg]) -> Iterator[Leg]:
    """From the end back: of what had to come before, that which ended last."""
    left = [leg for leg in legs if leg.seconds]
    fitting = left
    while fitting:
        last = max(fitting, key=lambda leg: (leg.end, leg.start))
        yield last
        left.remove(last)
        before = {last.stage, *_needed(execution, last.stage)}
        fitting = [leg for leg in left if leg.stage in before and leg.end <= last.start]


def _needed(execution: Execution, stage: str) -> set[str]:
    """The stages that had to end before one began, and those before them."""
    scope = execution.only or tuple(execution.definition.stages)
    found, more = set[str](), [stage]
    while more:
        for need in as_asked(execution, more.pop()).needs or ():
            if need in scope and need not in found:
                found.add(need)
                more.append(need)
    return found
