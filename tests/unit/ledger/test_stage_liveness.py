"""No starvation: with a new execution every second, every stage still deploys."""

import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.gate import Enter, Hold
from prefect_delivery.engine.state import Status
from prefect_delivery.ledger import Attempt, Ledger

TAKES = {"Build": 1, "Test": 4, "Deploy": 9}
"""Seconds that each stage takes."""
SECONDS = 40


def busy(name: str, mode: str) -> Pipeline:
    actions = {"work": {"uses": "build/commands"}}
    stages: dict[str, Any] = {stage: {"actions": actions} for stage in TAKES}
    stages["Deploy"] = {"actions": actions, "concurrency_group": "database"}
    return Pipeline.model_validate({"pipeline": name, "mode": mode, "stages": stages})


class Simulation:
    """Executions of two pipelines, each of which asks once a second, in any order."""

    def __init__(self, ledger: Ledger, clock: list[datetime], mode: str) -> None:
        self.ledger, self.clock = ledger, clock
        self.pipelines = [busy("shop", mode), busy("blog", mode)]
        self.at: dict[Attempt, tuple[str, datetime | None]] = {}
        self.deployed: dict[tuple[str, str], list[datetime]] = {}

    def second(self, chance: random.Random) -> None:
        for definition in self.pipelines:
            new = self.ledger.executions.start(
                definition, variables={}, started_by="push"
            )
            claim = self.ledger.executions.claim(new.id, holder=new.title, ttl=3600)
            self.at[claim] = ("Build", None)
        for attempt in chance.sample([*self.at], len(self.at)):
            self._go(attempt)
        self.clock[0] += timedelta(seconds=1)

    def _go(self, attempt: Attempt) -> None:
        stage, ends = self.at[attempt]
        if ends is not None and ends <= self.clock[0]:
            self.ledger.executions.end_stage(attempt, stage, Status.SUCCEEDED)
            pipeline = attempt.holder.partition(" ")[0]
            self.deployed.setdefault((pipeline, stage), []).append(self.clock[0])
            following = [*TAKES, None][[*TAKES].index(stage) + 1]
            if following is None:
                self.ledger.executions.end(attempt, Status.SUCCEEDED)
                del self.at[attempt]
                return
            stage, ends = following, None
            self.at[attempt] = stage, None
        if ends is None:
            verdict = self.ledger.executions.enter_stage(attempt, stage)
            if isinstance(verdict, Enter):
                ends = self.clock[0] + timedelta(seconds=TAKES[stage])
                self.at[attempt] = stage, ends
            elif not isinstance(verdict, Hold):
                del self.at[attempt]


@pytest.mark.parametrize("mode", ["superseded", "queued"])
def test_every_stage_of_every_pipeline_goes_on_deploying(
    ledger: Ledger, clock: list[datetime], mode: str
) -> None:
    simulation = Simulation(ledger, clock, mode)
    begun = clock[0]
    chance = random.Random(7)

    for _ in range(SECONDS):
        simulation.second(chance)

    for pipeline in ("shop", "blog"):
        for stage, takes in TAKES.items():
            shared = 2 if stage == "Deploy" else 1
            times = [begun, *simulation.deployed[pipeline, stage], clock[0]]
            gaps = [b - a for a, b in pairwise(times)]
            # All that comes before it, its turn and that of the other, and a look each.
            longest = sum(TAKES.values()) + (takes + 1) * shared + 4
            assert max(gaps) <= timedelta(seconds=longest), (pipeline, stage)
