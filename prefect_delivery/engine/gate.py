"""Who may enter a stage, and when: pure rules on what the ledger says of a stage.

Source: CodePipeline user guide, "How pipeline executions work" (a stage is locked while
an execution is in it; superseding happens only between stages) and "Set or change the
pipeline execution mode". Beyond it: an execution never follows a newer one through a
stage, whatever became of the newer one; one that only waits for an approval inside may
be superseded; and stages of several pipelines may form a group that holds one execution
at a time, in which they take turns.
"""

from collections.abc import Sequence
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
        yields: Whether it only waits for an approval inside, in a stage that then lets
            newer executions take its place.
    """

    number: int
    place: Place
    rollback: bool = False
    undecided: bool = False
    yields: bool = False


@dataclass(frozen=True, kw_only=True)
class Rival:
    """An execution at another stage of the same concurrency group.

    Attributes:
        title: Such as `blog #7 / Deploy`.
        first: Of one that waits: whether the turn of its stage comes before ours.
    """

    title: str
    place: Literal["before", "inside"]
    first: bool = False


@dataclass(frozen=True, kw_only=True)
class Enter:
    """The execution enters.

    Attributes:
        over: The one that waits for an approval inside and ends now, if there is one.
    """

    over: int | None = None


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
    rivals: Sequence[Rival] = (),
    rollback: bool = False,
    disabled: str | None = None,
) -> Verdict:
    """Whether an execution that stands before a stage may enter it.

    Args:
        number: Of the execution.
        others: The pipeline's other executions that this stage has seen.
        rivals: Who waits for, or is in, other stages of the stage's group.
        rollback: Whether it is a rollback, which nothing supersedes.
        disabled: Why the transition into the stage is disabled, if it is.
    """
    newer = [o.number for o in others if o.number > number and not o.rollback]
    if mode == "superseded" and newer and not rollback:
        return Superseded(by=max(newer))
    if disabled is not None:
        return Hold(reason=disabled, for_people=True)
    over: int | None = None
    for other in others if mode != "parallel" else ():
        if other.place != "inside":
            continue
        if mode != "superseded" or rollback or other.rollback or not other.yields:
            return Hold(reason=f"#{other.number} is in it", for_people=other.undecided)
        over = other.number
    ahead = [o.number for o in others if o.place == "before" and o.number < number]
    if mode == "queued" and ahead and not rollback:
        return Hold(reason=f"#{min(ahead)} is before it")
    return _in_turn(rivals, rollback) or Enter(over=over)


def _in_turn(rivals: Sequence[Rival], rollback: bool) -> Hold | None:
    """Wait for the group to be free, and for the turns before ours."""
    for rival in rivals:
        if rival.place == "inside":
            return Hold(reason=f"{rival.title} is in its group")
    for rival in rivals:
        if rival.first and not rollback:
            return Hold(reason=f"{rival.title} is before it")
    return None
