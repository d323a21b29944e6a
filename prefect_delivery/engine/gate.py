"""Who may enter a stage, and when: pure rules on what the ledger says of a stage.

Source: CodePipeline user guide, "How pipeline executions work" (a stage is locked while
an execution is in it; superseding happens only between stages) and "Set or change the
pipeline execution mode". Beyond it: an execution never follows a newer one through a
stage, whatever became of the newer one.
"""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["superseded", "queued", "parallel"]
Place = Literal["before", "inside", "through"]


@dataclass(frozen=True, kw_only=True)
class Other:
    """Another execution of the pipeline, seen from a stage.

    Attributes:
        place: Waits before the stage, is inside, or has been through it.
        undecided: Whether it waits for somebody's decision itself.
    """

    number: int
    place: Place
    rollback: bool = False
    undecided: bool = False


@dataclass(frozen=True, kw_only=True)
class Enter:
    """The execution enters."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """The execution waits before the stage.

    Attributes:
        for_people: Whether somebody has to decide or to enable something before it can
            go on; else it is a matter of time.
    """

    reason: str
    for_people: bool = False


@dataclass(frozen=True, kw_only=True)
class Superseded:
    """The execution ends: a newer one took its place."""

    by: int


Verdict = Enter | Hold | Superseded


def gate(
    mode: Mode,
    number: int,
    others: list[Other],
    *,
    rollback: bool = False,
    disabled: str | None = None,
) -> Verdict:
    """Whether an execution that stands before a stage may enter it.

    Args:
        number: Of the execution.
        others: The pipeline's other executions that this stage has seen.
        rollback: Whether it is a rollback, which nothing supersedes.
        disabled: Why the transition into the stage is disabled, if it is.
    """
    newer = [o.number for o in others if o.number > number and not o.rollback]
    if mode == "superseded" and newer and not rollback:
        return Superseded(by=max(newer))
    if disabled is not None:
        return Hold(reason=disabled, for_people=True)
    if mode == "parallel":
        return Enter()
    for other in others:
        if other.place == "inside":
            return Hold(reason=f"#{other.number} is in it", for_people=other.undecided)
    ahead = [o.number for o in others if o.place == "before" and o.number < number]
    if mode == "queued" and ahead and not rollback:
        return Hold(reason=f"#{min(ahead)} is before it")
    return Enter()
