"""Executions, stages, approvals and claims in every order, against a small model.

Workers come and die, people stop, decide, disable, retry and roll back, the clock
passes; after each of these the tables must say what the model says, and the auditor
must find nothing.
"""

from datetime import timedelta
from typing import Any

import pytest
from audit_case import Case
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from invariants import INVARIANTS
from stage_model import APPROVE, DEPLOY, PATIENCE, STAGES, TTL, Run
from stage_workers import MOSTLY, PICK, QUIET, WORKERS, Workers, one

from prefect_delivery import control
from prefect_delivery.engine.gate import Enter, Hold, Superseded
from prefect_delivery.engine.state import Status
from prefect_delivery.errors import Refused
from prefect_delivery.rollbacks import roll_back

WAYS = {Enter: "enter", Hold: "hold", Superseded: "superseded"}
HELD = ["I1", "I2", "I5", "I6", "I8", "I11", "I12"]
"""The others are about targets, living processes and files, which are not here."""
AT_ONCE = [name for name in HELD if name not in {"I6", "I12"}]
"""Those that cost little; the log keeps what the others need until the end."""
PEOPLE = st.sampled_from(["cid", "dan", "eve"])


class StageMachine(Workers):
    """Two workers and some people at one pipeline."""

    def teardown(self) -> None:
        check(Case(self.ledger), HELD)
        self.ledger.close()

    @precondition(lambda self: self.asked())
    @rule(pick=PICK, people=st.lists(PEOPLE, min_size=1, unique=True), approved=MOSTLY)
    def decide(self, pick: int, people: list[str], approved: bool) -> None:
        self.vote(one(self.asked(), pick), people, approved)

    def vote(self, run: Run, people: list[str], approved: bool) -> None:
        at = (self.ids[run.number], APPROVE, "run")
        for person in people:
            if self.model.vote(run, person, approved):
                self.ledger.executions.decide(*at, by=person, approved=approved)
            else:
                with pytest.raises(Refused):
                    self.ledger.executions.decide(*at, by=person, approved=approved)

    @precondition(lambda self: self.going())
    @rule(pick=PICK, worker=WORKERS)
    def deliver(self, pick: int, worker: str) -> None:
        """Everybody does what lets an execution pass, so that few steps deploy."""
        run = one(self.going(), pick)
        for _ in STAGES:
            if attempt := self.claim(run, worker, sure=True):
                self.carry_on(run, attempt, QUIET)
                self.finish(run, attempt, well=True)
                self.carry_on(run, attempt, QUIET)
            if self.model.is_asked(run):
                self.vote(run, ["cid", "dan"], approved=True)

    def asked(self) -> list[Run]:
        return [run for run in self.going() if self.model.is_asked(run)]

    @precondition(lambda self: self.ended(Status.FAILED, Status.STOPPED))
    @rule(pick=PICK, all_actions=st.booleans())
    def retry(self, pick: int, all_actions: bool) -> None:
        run = one(self.ended(Status.FAILED, Status.STOPPED), pick)

        def again() -> None:
            control.retry(
                self.ledger, "shop", run.number, by="cid", all_actions=all_actions
            )

        if self.model.retry(run, all_actions):
            again()
        else:
            with pytest.raises(Refused):
                again()

    def ended(self, *statuses: Status) -> list[Run]:
        return [run for run in self.model.runs.values() if run.status in statuses]

    @rule(pick=PICK, abandon=st.booleans())
    def stop(self, pick: int, abandon: bool) -> None:
        run = one([*self.model.runs.values()], pick)

        def ask() -> None:
            self.ledger.executions.request_stop(
                self.ids[run.number], by="cid", reason="", abandon=abandon
            )

        if run.status.ended:
            with pytest.raises(Refused):
                ask()
        else:
            ask()
            self.model.stop(run, abandon)

    @precondition(lambda self: self.deployed())
    @rule(pick=PICK)
    def roll_back(self, pick: int) -> None:
        """Deploy again what was deployed before, without asking anybody."""
        run = one(self.deployed(), pick)
        target = self.ledger.executions.get(self.ids[run.number])
        back = roll_back(self.ledger, target, [DEPLOY], trigger="rollback", by="cid")
        self.ids[back.number] = back.id
        assert back.number == self.model.start((DEPLOY,)).number

    def deployed(self) -> list[Run]:
        own = [run for run in self.model.runs.values() if not run.rollback]
        return [run for run in own if run.has(Status.SUCCEEDED, DEPLOY)]

    @rule(stage=st.sampled_from(STAGES), disable=st.booleans())
    def freeze(self, stage: str, disable: bool) -> None:
        def switch() -> None:
            ways = self.ledger.transitions
            if disable:
                ways.disable("shop", stage, by="cid", reason="freeze")
            else:
                ways.enable("shop", stage, by="cid")

        if disable == (stage in self.model.disabled):
            with pytest.raises(Refused):
                switch()
        else:
            switch()
            self.model.disabled ^= {stage}

    @rule(
        seconds=st.sampled_from([1, TTL.seconds, PATIENCE.seconds]),
        restarts=st.booleans(),
    )
    def wait(self, seconds: int, restarts: bool) -> None:
        self.model.now += timedelta(seconds=seconds)
        if restarts:
            self.ledger.close()
            self.ledger = self.connect()

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        """And the auditor finds nothing."""
        case = Case(self.ledger)
        runs = self.model.runs.values()
        assert {row["number"]: standing(row) for row in case.executions.values()} == {
            run.number: (run.status, run.holder, run.claims) for run in runs
        }
        numbers = {row["id"]: row["number"] for row in case.executions.values()}
        assert {
            (numbers[row["execution_id"]], row["stage"]): row["status"]
            for row in case.tables["stage_runs"]
        } == {
            (run.number, stage): visit.status
            for run in runs
            for stage, visit in run.visits.items()
        }
        last = {
            (numbers[row["execution_id"]], row["stage"]): row
            for row in case.tables["action_runs"]
        }
        visits = {(r.number, stage): v for r in runs for stage, v in r.visits.items()}
        assert {at: row["attempt"] for at, row in last.items()} == {
            at: visit.attempts for at, visit in visits.items() if visit.attempts
        }
        for at, visit in visits.items():
            assert visit.action in {None, at in last and last[at]["status"]}

        check(case, AT_ONCE)

    @invariant()
    def who_comes_next_is_who_should(self) -> None:
        for stage in STAGES:
            assert self.model.mode == "parallel" or len(self.model.inside(stage)) <= 1
            for run in self.model.before(stage):
                verdict = self.ledger.executions.would_enter(
                    self.ids[run.number], stage
                )
                assert WAYS[type(verdict)] == self.model.way(run, stage)


def check(case: Case, names: list[str]) -> None:
    found = [each for name in names for each in INVARIANTS[name](case)]
    assert not found, "\n".join(found)


def standing(row: Any) -> tuple[Status, str | None, int]:
    return Status(row["status"]), row["holder"], row["attempt"]
