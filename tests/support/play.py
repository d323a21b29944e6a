"""Executions of one pipeline that are moved by hand, on a real ledger in a file."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.gate import Verdict
from prefect_delivery.engine.state import Execution, StageRun, Status
from prefect_delivery.engine.steps import Step
from prefect_delivery.ledger import Attempt, Ledger

BUILD = {"uses": "build/commands"}
ASK = {"uses": "approval/manual"}
STAGES: dict[str, Any] = {
    "Build": {"needs": [], "actions": {"run": BUILD}},
    "Deploy": {"needs": ["Build"], "actions": {"run": BUILD}},
}


def shop(
    mode: str = "superseded", stages: dict[str, Any] | None = None, **more: Any
) -> Pipeline:
    """The pipeline `shop`, with the stages `Build` and `Deploy` unless told otherwise."""
    said = {"pipeline": "shop", "mode": mode, "stages": stages or STAGES, **more}
    return Pipeline.model_validate(said)


@dataclass
class Play:
    """The executions of a pipeline; the test is all of their workers.

    Attributes:
        clock: The ledger's present, as the only item.
    """

    ledger: Ledger
    clock: list[datetime]

    def start(self, definition: Pipeline, **more: Any) -> Attempt:
        given = {"variables": {}, "started_by": "ann", **more}
        execution = self.ledger.executions.start(definition, **given)
        return self.claim(execution)

    def claim(self, execution: Execution) -> Attempt:
        return self.ledger.executions.claim(execution.id, holder="worker", ttl=600)

    def enter(self, attempt: Attempt, stage: str = "Deploy") -> Verdict:
        return self.ledger.executions.enter_stage(attempt, stage)

    def act(
        self,
        attempt: Attempt,
        status: Status = Status.SUCCEEDED,
        stage: str = "Deploy",
        action: str = "run",
        **left: Any,
    ) -> int:
        """Begin the next attempt at an action and end it, or leave it running."""
        run = self.get(attempt).stages[stage]
        number = len(run.actions.get(action, ())) + 1
        self.ledger.executions.begin_action(attempt, stage, action, number)
        if status is not Status.IN_PROGRESS:
            at = (attempt, stage, action, number, status)
            self.ledger.executions.end_action(*at, **left)
        return number

    def leave(
        self,
        attempt: Attempt,
        status: Status = Status.SUCCEEDED,
        stage: str = "Deploy",
        *,
        end: bool = True,
    ) -> None:
        """End a stage, and the execution with it."""
        self.ledger.executions.end_stage(attempt, stage, status)
        if end:
            self.ledger.executions.end(attempt, status)

    def through(
        self, attempt: Attempt, status: Status = Status.SUCCEEDED, stage: str = "Deploy"
    ) -> None:
        """Go into a stage, act there and end."""
        self.enter(attempt, stage)
        self.act(attempt, status, stage)
        self.leave(attempt, status, stage)

    def asking(self, attempt: Attempt, stage: str = "Deploy") -> None:
        """Go into a stage and wait for a decision there."""
        self.enter(attempt, stage)
        self.act(attempt, Status.WAITING, stage)
        self.ledger.executions.set_status(attempt, Status.WAITING)

    def decide(self, attempt: Attempt, by: str = "bob", *, approved: bool) -> None:
        self.ledger.executions.decide(
            attempt.execution_id, "Deploy", "run", by=by, approved=approved
        )

    def reopen(
        self, attempt: Attempt, stage: str = "Deploy", *, all_actions: bool = False
    ) -> None:
        self.ledger.executions.reopen(
            attempt.execution_id, stage, by="bob", all_actions=all_actions
        )

    def get(self, attempt: Attempt) -> Execution:
        return self.ledger.executions.get(attempt.execution_id)

    def status(self, attempt: Attempt) -> Status:
        return self.get(attempt).status

    def stage(self, attempt: Attempt, name: str = "Deploy") -> StageRun:
        return self.get(attempt).stages[name]

    def steps(self, attempt: Attempt) -> list[Step]:
        """What the engine wants for an execution now."""
        return decide(self.get(attempt), self.clock[0])

    def wait(self, **time: float) -> None:
        self.clock[0] += timedelta(**time)
