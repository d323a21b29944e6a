"""A world that carries out what the engine decides, with outcomes told beforehand."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from prefect_delivery.definition.models import Action, Pipeline, Stage
from prefect_delivery.engine.conditions import is_rule
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.state import ActionRun, Execution, StageRun, Status
from prefect_delivery.engine.steps import (
    AskAgain,
    CancelAction,
    End,
    EndStage,
    EnterStage,
    RetryStage,
    StartAction,
    Wait,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Outcomes = dict[tuple[str, str], list[Status]]


def pipeline(**stages: Stage) -> Pipeline:
    return Pipeline(pipeline="shop", stages=stages)


def stage(*needs: str, conditions: object = None, **actions: Action) -> Stage:
    said = {"needs": [*needs], "actions": actions}
    said |= conditions if isinstance(conditions, dict) else {}
    return Stage.model_validate(said)


def action(order: int = 1, **more: object) -> Action:
    return Action.model_validate({"uses": "build/commands", "run_order": order, **more})


def execution_of(definition: Pipeline) -> Execution:
    return Execution(
        id="e1",
        pipeline="shop",
        number=1,
        definition=definition,
        status=Status.IN_PROGRESS,
        started=START,
    )


@dataclass
class World:
    """Carries out steps on an `Execution`, as the loop and the ledger do.

    Attributes:
        outcomes: How each attempt at an action ends, first attempt first. A rule that
            ends as waiting is asked again a minute later.
        started: Every attempt in the order in which it was started.
    """

    execution: Execution
    outcomes: Outcomes
    now: datetime = START
    started: list[tuple[str, str, int]] = field(default_factory=list)
    running: list[tuple[str, str, int]] = field(default_factory=list)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def step(self) -> bool:
        """Carry out what is decided now; False when there is only waiting."""
        waits = True
        for decided in decide(self.execution, self.now):
            match decided:
                case EnterStage(name):
                    assert name not in self.execution.stages
                    self.put(name, StageRun(status=Status.IN_PROGRESS))
                case StartAction(stage_name, action_name, attempt):
                    self._begin(stage_name, action_name, attempt)
                case AskAgain(stage_name, action_name, attempt):
                    key = (stage_name, action_name, attempt)
                    self.end(key, Status.IN_PROGRESS)
                    self._run(key)
                case RetryStage(name, all_actions):
                    self._retry(name, all_actions)
                case CancelAction(stage_name, action_name, attempt, reason):
                    self.end((stage_name, action_name, attempt), decided.status, reason)
                case EndStage(name, status, reason):
                    assert not [key for key in self.running if key[0] == name]
                    run = self.execution.stages[name]
                    self.put(
                        name, dataclasses.replace(run, status=status, reason=reason)
                    )
                case End(status, reason):
                    assert not self.running
                    self.execution = dataclasses.replace(
                        self.execution, status=status, reason=reason
                    )
                case Wait():
                    continue
            waits = False
        return not waits

    def end(
        self, key: tuple[str, str, int], status: Status, error: str | None = None
    ) -> None:
        if key in self.running:
            self.running.remove(key)
        stage_name, action_name, _ = key
        run = self.execution.stages[stage_name]
        *before, last = run.actions[action_name]
        due = self.now + MINUTE if status is Status.WAITING else None
        time = self.now if status.ended else None
        ended = dataclasses.replace(
            last, status=status, ended=time, error=error, due=due
        )
        actions = {**run.actions, action_name: (*before, ended)}
        self.put(stage_name, dataclasses.replace(run, actions=actions))

    def run(self, choose: Callable[[int], int] = lambda count: 0) -> Execution:
        """Go on until the execution ends; `choose` says which attempt ends next."""
        for _ in range(1000):
            if self.execution.status.ended:
                return self.execution
            if self.step():
                continue
            if self.running:
                key = self.running[choose(len(self.running))]
                self.end(key, self.outcomes[key[:2]][self.asked[key[:2]] - 1])
            else:
                self.now = self._next_time()
        pytest.fail("the execution does not end")

    def _next_time(self) -> datetime:
        times = [
            decided.until
            for decided in decide(self.execution, self.now)
            if isinstance(decided, Wait) and decided.until
        ]
        assert times, "nothing runs and nothing is waited for"
        return max(min(times), self.now)

    def _begin(self, stage_name: str, action_name: str, attempt: int) -> None:
        key = (stage_name, action_name, attempt)
        assert key not in self.started
        self.started.append(key)
        self._run(key)
        run = self.execution.stages[stage_name]
        runs = run.actions.get(action_name, ())
        assert attempt == len(runs) + 1
        begun = ActionRun(attempt=attempt, status=Status.IN_PROGRESS, started=self.now)
        actions = {**run.actions, action_name: (*runs, begun)}
        self.put(stage_name, dataclasses.replace(run, actions=actions))

    def _run(self, key: tuple[str, str, int]) -> None:
        self.running.append(key)
        self.asked[key[:2]] += 1

    def _retry(self, name: str, all_actions: bool) -> None:
        run = self.execution.stages[name]
        baseline = {
            action: len(runs)
            for action, runs in run.actions.items()
            if all_actions or is_rule(action) or runs[-1].status is Status.FAILED
        }
        self.put(name, dataclasses.replace(run, baseline=baseline))

    def put(self, name: str, run: StageRun) -> None:
        stages = {**self.execution.stages, name: run}
        self.execution = dataclasses.replace(self.execution, stages=stages)
