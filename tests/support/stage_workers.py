"""Two workers who drive the executions of a pipeline and die, beside a small model.

What they write is what the model does; `stage_machine` has the people and the checks.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from lease_machine import OpenLedger
from stage_model import APPROVE, DEPLOY, PATIENCE, TTL, Model, Run

from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.decide import decide
from prefect_delivery.engine.gate import Hold
from prefect_delivery.engine.state import Status
from prefect_delivery.engine.steps import (
    CancelAction,
    End,
    EndStage,
    EnterStage,
    StartAction,
    Step,
    Wait,
)
from prefect_delivery.errors import LeaseLost, Refused
from prefect_delivery.flows.close import close_dead
from prefect_delivery.ledger import Attempt, Ledger

WORKERS = st.sampled_from(["ann", "bob"])
PICK = st.integers(0, 9)
MOSTLY = st.sampled_from([True, True, True, False])
QUIET = 20
"""More changes than any execution makes before it rests."""


Item = TypeVar("Item")


def one(among: list[Item], pick: int) -> Item:
    return among[pick % len(among)]


def pipeline(mode: str, supersede_approvals: bool) -> Pipeline:
    work = {"uses": "build/commands"}
    ask = {
        "uses": "approval/manual",
        "with": {"count": 2},
        "timeout": PATIENCE.seconds / 60,
    }
    stages: dict[str, Any] = {
        "Build": {"actions": {"run": work}},
        "Approve": {
            "needs": ["Build"],
            "actions": {"run": ask},
            "supersede_approvals": supersede_approvals,
        },
        "Deploy": {"needs": ["Approve"], "actions": {"run": work}},
    }
    return Pipeline.model_validate({"pipeline": "shop", "mode": mode, "stages": stages})


class Workers(RuleBasedStateMachine):
    """Two workers at one pipeline.

    A rule takes the executions that it is worth trying on, so that few steps go far;
    what is refused is tried as well.
    """

    def __init__(self, open_ledger: OpenLedger) -> None:
        super().__init__()
        self.open_ledger = open_ledger
        self.model = Model("superseded", False, datetime(2026, 1, 1, tzinfo=UTC))
        self.ledger = self.connect()
        self.lives = {"ann": 1, "bob": 1}
        self.dead: set[str] = set()
        self.ids: dict[int, str] = {}
        self.claims: list[tuple[Run, Attempt]] = []

    def connect(self) -> Ledger:
        return self.open_ledger(lambda: self.model.now)

    def owns(self, run: Run, attempt: Attempt) -> bool:
        return run.holder is not None and run.claims == attempt.number

    @initialize(
        mode=st.sampled_from(["superseded", "queued", "parallel"]),
        yields=st.booleans(),
        count=st.integers(1, 4),
    )
    def begin(self, mode: Any, yields: bool, count: int) -> None:
        self.model.mode, self.model.supersede_approvals = mode, yields
        self.definition = pipeline(mode, yields)
        for _ in range(count):
            self.new_revision()

    @precondition(lambda self: len(self.going()) < 6)
    @rule()
    def new_revision(self) -> None:
        execution = self.ledger.executions.start(
            self.definition, variables={}, started_by="push"
        )
        self.ids[execution.number] = execution.id
        assert execution.number == self.model.start().number

    def going(self) -> list[Run]:
        return [run for run in self.model.runs.values() if not run.status.ended]

    @precondition(lambda self: self.going())
    @rule(pick=PICK, some=st.integers(1, 4), well=MOSTLY)
    def ann_works(self, pick: int, some: int, well: bool) -> None:
        self.work(pick, some, "ann", well)

    @precondition(lambda self: self.going())
    @rule(pick=PICK, some=st.integers(1, 4), well=MOSTLY)
    def bob_works(self, pick: int, some: int, well: bool) -> None:
        self.work(pick, some, "bob", well)

    def work(self, pick: int, some: int, worker: str, well: bool) -> None:
        """Drive some executions until they rest; what runs in the first one ends."""
        going = self.going()
        chosen = (going * 2)[pick % len(going) :][: min(some, len(going))]
        for run in chosen:
            if attempt := self.claim(run, worker, sure=True):
                self.carry_on(run, attempt, QUIET)
                if run is chosen[0]:
                    self.finish(run, attempt, well)
                    self.carry_on(run, attempt, QUIET)

    @precondition(lambda self: self.going())
    @rule(pick=PICK, worker=WORKERS, changes=st.integers(0, 4), sure=st.booleans())
    def crash(self, pick: int, worker: str, changes: int, sure: bool) -> None:
        """Die after some changes: what the worker holds stays held.

        It takes over what others held who are dead for `sure`, or else what expired.
        """
        run = one(self.going(), pick)
        if attempt := self.claim(run, worker, sure=sure):
            self.carry_on(run, attempt, changes)
        self.dead.add(f"{worker}-{self.lives[worker]}")
        self.lives[worker] += 1

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, what=st.sampled_from(["go on", "renew", "leave"]))
    def zombie(self, pick: int, what: str) -> None:
        """Somebody goes on, renews or leaves, who may have lost it long ago."""
        run, attempt = one(self.claims, pick)
        if not self.owns(run, attempt):
            self.changes_nothing(attempt)
        elif what == "go on":
            self.finish(run, attempt, well=True)
            self.carry_on(run, attempt, QUIET)
        elif what == "renew":
            self.ledger.executions.renew(attempt)
            run.expires = self.model.now + TTL
        else:
            self.ledger.executions.leave(attempt)
            run.holder, run.left = None, self.model.now

    def claim(self, run: Run, worker: str, *, sure: bool) -> Attempt | None:
        holder = f"{worker}-{self.lives[worker]}"
        dead = self.dead if sure else set[str]()

        def attempt() -> Attempt:
            return self.ledger.executions.claim(
                self.ids[run.number],
                holder=holder,
                ttl=TTL.seconds,
                dead=dead.__contains__,
            )

        others = run.holder not in {None, holder} and run.expires > self.model.now
        if run.status.ended or (others and run.holder not in dead):
            with pytest.raises(Refused):
                attempt()
            return None
        claimed = attempt()
        run.claims, run.holder = run.claims + 1, holder
        run.expires = self.model.now + TTL
        assert claimed.number == run.claims
        self.claims.append((run, claimed))
        return claimed

    def carry_on(self, run: Run, attempt: Attempt, most: int) -> None:
        for _ in range(most):
            changed = self.change(attempt)
            assert self.model.advance(run) == changed
            if not changed:
                break
        else:
            return
        if not run.status.ended:
            self.model.rest(run)
            if run.status is not Status.STOPPING:
                self.ledger.executions.set_status(attempt, run.status)

    def change(self, attempt: Attempt) -> bool:
        """The next change that the loop makes; False when there is none."""
        execution = self.ledger.executions.get(attempt.execution_id)
        changed = [self.do(attempt, s) for s in decide(execution, self.model.now)]
        return any(changed)

    def do(self, attempt: Attempt, step: Step) -> bool:
        executions = self.ledger.executions
        match step:
            case EnterStage(stage):
                return not isinstance(executions.enter_stage(attempt, stage), Hold)
            case StartAction(stage, action, number):
                executions.begin_action(attempt, stage, action, number)
            case CancelAction(stage, action, number):
                executions.end_action(attempt, stage, action, number, step.status)
            case EndStage(stage, status):
                executions.end_stage(attempt, stage, status)
            case End(status):
                executions.end(attempt, status)
            case Wait():
                return False
            case _:
                raise AssertionError(step)
        return True

    def changes_nothing(self, attempt: Attempt) -> None:
        """Whoever has lost an execution can write nothing about it."""
        executions = self.ledger.executions
        at = (attempt, DEPLOY, "run", 1)
        for write in (
            lambda: executions.renew(attempt),
            lambda: executions.enter_stage(attempt, DEPLOY),
            lambda: executions.begin_action(*at),
            lambda: executions.end_action(*at, Status.SUCCEEDED),
            lambda: executions.end_stage(attempt, DEPLOY, Status.SUCCEEDED),
            lambda: executions.set_status(attempt, Status.WAITING),
            lambda: executions.note_revision(attempt, "run", "late"),
            lambda: executions.end(attempt, Status.SUCCEEDED),
        ):
            with pytest.raises(LeaseLost):
                write()
        executions.leave(attempt)

    def finish(self, run: Run, attempt: Attempt, well: bool) -> None:
        """The action that runs ends; one that asks people then waits for them."""
        for stage, visit in run.visits.items():
            if visit.action is Status.IN_PROGRESS and not visit.status.ended:
                visit.action = Status.SUCCEEDED if well else Status.FAILED
                if well and stage == APPROVE:
                    visit.action = Status.WAITING
                at = (stage, "run", visit.attempts)
                self.ledger.executions.end_action(attempt, *at, visit.action)

    @rule()
    def recover(self) -> None:
        """Somebody looks for what nobody drives any more, and records it as stopped."""
        close_dead(self.ledger, lambda _: None)
        for run in self.model.runs.values():
            if self.model.is_lost(run):
                run.claims, run.holder = run.claims + 1, None
                run.close(Status.STOPPED)
