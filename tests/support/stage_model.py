"""What should become of a pipeline's executions, by a few dictionaries.

The pipeline has three stages in a row, with one action each: `Build` does something,
`Approve` asks for two people, `Deploy` does something; a rollback goes through `Deploy`
alone. The model says what one worker's next change is, as `decide` and the ledger do
together, but it keeps no rows, no reasons, no waits and no log.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from prefect_delivery.engine.state import Status

BUILD, APPROVE, DEPLOY = STAGES = ("Build", "Approve", "Deploy")
NEEDED = 2
"""People who must approve."""
PATIENCE = timedelta(minutes=60)
"""How long they have."""
TTL = timedelta(seconds=60)
"""How long a claim holds, and how long an execution may be nobody's."""
Way = Literal["enter", "hold", "superseded"]


@dataclass
class Visit:
    """An execution at a stage.

    Attributes:
        status: `WAITING` before the stage, `IN_PROGRESS` inside of it.
        entered: Whether it has ever been inside.
        action: How the last attempt at the stage's action stands; None when none
            counts, since it was not begun or is to run again.
        attempts: At the action, in all.
        votes: Who has approved the last attempt.
    """

    status: Status
    entered: bool = False
    action: Status | None = None
    attempts: int = 0
    asked: datetime = datetime.min
    votes: set[str] = field(default_factory=set[str])


@dataclass
class Run:
    """An execution.

    Attributes:
        claims: How often it was claimed; the last claim's number.
        left: Since when nobody owns it, if nobody does.
    """

    number: int
    left: datetime
    scope: tuple[str, ...] = STAGES
    status: Status = Status.IN_PROGRESS
    visits: dict[str, Visit] = field(default_factory=dict[str, Visit])
    stop: Literal["wait", "abandon"] | None = None
    claims: int = 0
    holder: str | None = None
    expires: datetime = datetime.min

    @property
    def rollback(self) -> bool:
        return self.scope != STAGES

    def has(self, status: Status, stage: str) -> bool:
        return stage in self.visits and self.visits[stage].status is status

    def close(self, status: Status) -> None:
        """End it, and all of it that has not ended."""
        for visit in self.visits.values():
            if not visit.status.ended:
                visit.status = status
                if visit.action is not None and not visit.action.ended:
                    visit.action = Status.STOPPED
        self.status = status


@dataclass
class Model:
    """All executions of the pipeline, oldest first."""

    mode: Literal["superseded", "queued", "parallel"]
    supersede_approvals: bool
    now: datetime
    runs: dict[int, Run] = field(default_factory=dict[int, Run])
    disabled: set[str] = field(default_factory=set[str])

    def start(self, scope: tuple[str, ...] = STAGES) -> Run:
        run = Run(len(self.runs) + 1, self.now, scope)
        self.runs[run.number] = run
        return run

    def inside(self, stage: str) -> list[Run]:
        return [r for r in self.runs.values() if r.has(Status.IN_PROGRESS, stage)]

    def before(self, stage: str) -> list[Run]:
        return [r for r in self.runs.values() if r.has(Status.WAITING, stage)]

    def newer_inside(self, run: Run, stage: str) -> bool:
        """Whether a newer execution has ever entered the stage."""
        return any(
            other.number > run.number
            and not other.rollback
            and stage in other.visits
            and other.visits[stage].entered
            for other in self.runs.values()
        )

    def way(self, run: Run, stage: str) -> Way:
        """What becomes of an execution that stands before a stage."""
        waiting = self.before(stage)
        newer = [r for r in waiting if r.number > run.number and not r.rollback]
        overtaken = newer or self.newer_inside(run, stage)
        if self.mode == "superseded" and overtaken and not run.rollback:
            return "superseded"
        if stage in self.disabled:
            return "hold"
        if self.mode == "parallel":
            return "enter"
        if any(not self._yields(r, run, stage) for r in self.inside(stage)):
            return "hold"
        ahead = any(other.number < run.number for other in waiting)
        if self.mode == "queued" and ahead and not run.rollback:
            return "hold"
        return "enter"

    def _yields(self, run: Run, to: Run, stage: str) -> bool:
        """Whether an execution only waits for an approval, and lets another one in."""
        return (
            self.supersede_approvals
            and self.mode == "superseded"
            and not to.rollback
            and run.status is Status.WAITING
            and run.visits[stage].action is Status.WAITING
        )

    def advance(self, run: Run) -> bool:
        """Make the next change that its worker makes; False when there is none."""
        if run.status.ended:
            return False
        for stage in run.scope:
            visit = run.visits.get(stage)
            if visit is None or visit.status is Status.WAITING:
                return self._before(run, stage, visit)
            if visit.status is Status.IN_PROGRESS:
                return self._inside(run, stage, visit)
            if visit.status is not Status.SUCCEEDED:
                break
        all_well = all(run.has(Status.SUCCEEDED, stage) for stage in run.scope)
        run.status = Status.SUCCEEDED if all_well else Status.FAILED
        if run.stop:
            run.status = Status.STOPPED
        return True

    def _before(self, run: Run, stage: str, visit: Visit | None) -> bool:
        if run.stop:
            if visit:
                visit.status = Status.STOPPED
            else:
                run.status = Status.STOPPED
            return True
        way = self.way(run, stage)
        if way == "superseded":
            run.close(Status.SUPERSEDED)
            return True
        visit = run.visits.setdefault(stage, Visit(Status.WAITING))
        if way == "enter":
            if self.mode != "parallel":
                for other in self.inside(stage):
                    other.close(Status.SUPERSEDED)
            visit.status, visit.entered = Status.IN_PROGRESS, True
        return way == "enter"

    def _inside(self, run: Run, stage: str, visit: Visit) -> bool:
        asks = visit.action is Status.WAITING
        if visit.action is not None and not visit.action.ended:
            late = stage == APPROVE and self.now >= visit.asked + PATIENCE
            if run.stop == "abandon" or (run.stop and asks) or late:
                visit.action = Status.FAILED
                return True
            return False
        if run.stop:
            visit.status = Status.STOPPED
        elif visit.action is None:
            visit.action, visit.asked = Status.IN_PROGRESS, self.now
            visit.attempts, visit.votes = visit.attempts + 1, set()
        elif visit.action is Status.SUCCEEDED:
            visit.status = Status.SUCCEEDED
        else:
            visit.status = Status.FAILED
        return True

    def stop(self, run: Run, abandon: bool) -> None:
        """Note that somebody wants it to stop; to abandon it is the stronger wish."""
        run.status = Status.STOPPING
        run.stop = "abandon" if abandon or run.stop == "abandon" else "wait"

    def rest(self, run: Run) -> None:
        """What its worker notes when there is nothing to do; it goes on stopping."""
        if run.status is Status.STOPPING:
            return
        waits = any(
            Status.WAITING in {visit.status, visit.action}
            for visit in run.visits.values()
            if not visit.status.ended
        )
        run.status = Status.WAITING if waits else Status.IN_PROGRESS

    def is_asked(self, run: Run) -> bool:
        """Whether people are to decide."""
        return APPROVE in run.visits and run.visits[APPROVE].action is Status.WAITING

    def vote(self, run: Run, person: str, approved: bool) -> bool:
        """Let a person decide; False when that is refused."""
        if not self.is_asked(run):
            return False
        visit = run.visits[APPROVE]
        if self.now >= visit.asked + PATIENCE or (approved and person in visit.votes):
            return False
        if not approved:
            visit.action = Status.FAILED
            return True
        visit.votes.add(person)
        if len(visit.votes) == NEEDED:
            visit.action = Status.SUCCEEDED
        return True

    def retry(self, run: Run, all_actions: bool) -> bool:
        """Run the failed stage again, or go on after a stop between two stages.

        False when that is refused.
        """
        if run.status not in {Status.FAILED, Status.STOPPED}:
            return False
        ended = {Status.FAILED, Status.STOPPED}
        stage = next((s for s in run.visits if run.visits[s].status in ended), None)
        if stage is None and run.status is not Status.STOPPED:
            return False
        if stage is not None:
            outdated = self.mode != "parallel" and self.newer_inside(run, stage)
            if outdated and not run.rollback:
                return False
            visit = run.visits[stage]
            visit.status = Status.WAITING
            if all_actions or visit.action is not Status.SUCCEEDED:
                visit.action = None
        run.status, run.stop, run.left = Status.IN_PROGRESS, None, self.now
        return True

    def is_lost(self, run: Run) -> bool:
        """Whether nobody drives it any more, or nobody has taken it up for long."""
        if run.status.ended:
            return False
        if run.holder is not None:
            return run.expires <= self.now
        return run.status is not Status.WAITING and self.now - run.left > TTL
