"""Whether every stage was entered, and every approval used, as its gates want (I6)."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from audit_case import Case
from sqlalchemy import RowMapping

from prefect_delivery.engine.approvals import MANUAL, Asked, seen_by
from prefect_delivery.engine.state import Execution, Status


def gates_were_passed(case: Case) -> Iterator[str]:
    """I6: no stage ran without its gates' recorded decisions, none was used twice."""
    yield from _transitions(case)
    decided = {_key(row): row for row in case.tables["decisions"]}
    for identity in case.executions:
        execution = case.ledger.executions.get(identity)
        yield from _approvals(case, execution, decided)
        yield from _conditions(execution)
    yield from _gated_rollouts(case)


def _transitions(case: Case) -> Iterator[str]:
    """Nobody enters a stage while the way into it is disabled."""
    disabled: set[str] = set()
    for entry in case.log:
        if entry.verb == "disable transition":
            disabled.add(entry.subject)
        elif entry.verb == "enable transition":
            disabled.discard(entry.subject)
        elif entry.verb == "enter stage":
            execution, stage = entry.subject.split(" / ", 1)
            if f"{execution.rpartition(' #')[0]} / {stage}" in disabled:
                yield f"{entry.subject} was entered while the way in was disabled"


def _approvals(
    case: Case, execution: Execution, decided: dict[Any, RowMapping]
) -> Iterator[str]:
    """An approval that let something pass has a decision, about what passed."""
    votes = case.ledger.votes.list(execution.id)
    for stage, run in execution.stages.items():
        spec = execution.definition.stages[stage]
        for action, attempts in run.actions.items():
            if action not in spec.actions or spec.actions[action].uses != MANUAL:
                continue
            order = spec.actions[action].run_order
            for attempt in attempts:
                where = f"{execution.title} / {stage} / {action}"
                key = (execution.id, stage, action, attempt.attempt)
                said = decided.get(key)
                if attempt.status is not Status.SUCCEEDED:
                    continue
                if said is None or not said["approved"]:
                    yield f"{where} was passed without a decision"
                    continue
                seen = seen_by(execution, stage, action).fingerprint
                for vote in votes.get(key[1:], []):
                    if vote.approved and vote.fingerprint != seen:
                        yield f"{where} was passed by a decision about something else"
            if attempts[-1].status is Status.SUCCEEDED:
                continue
            later = [
                name
                for name in run.actions
                if name in spec.actions and spec.actions[name].run_order > order
            ]
            for name in later:
                yield f"{execution.title} / {stage} / {name} ran before {action} was"


def _conditions(execution: Execution) -> Iterator[str]:
    """The actions of a stage run only when its `before_entry` was met or overridden."""
    for stage, run in execution.stages.items():
        condition = execution.definition.stages[stage].before_entry
        acted = [name for name in run.actions if ":" not in name]
        if condition is None or not acted or execution.carried:
            continue
        if "before_entry" in run.overridden:
            continue
        for rule in condition.rules:
            asked = run.actions.get(f"before_entry:{rule}", ())
            if not asked or asked[-1].status is not Status.SUCCEEDED:
                yield f"{execution.title} / {stage} ran though {rule} was not met"


def _gated_rollouts(case: Case) -> Iterator[str]:
    """What a gated environment got was approved, by its digest, for that environment."""
    artifacts = {
        row["digest"]: row["artifact_digest"] for row in case.tables["releases"]
    }
    gated = {
        row["name"]
        for row in case.tables["environments"]
        if {"approvers", "groups"} & set(row["configuration"].get("gates", {}))
    }
    for row in case.tables["rollouts"]:
        if row["kind"] != "forward" or row["environment"] not in gated:
            continue
        if row["execution_id"] not in case.executions:
            yield f"{row['environment']} got a release outside of any execution"
            continue
        execution = case.ledger.executions.get(row["execution_id"])
        if artifacts[row["release"]] not in _approved(execution, row["environment"]):
            yield f"{row['environment']} got a release that nobody had approved"


def _approved(execution: Execution, environment: str) -> set[str]:
    """Digests of the artifacts that were approved for an environment."""
    return {
        digest
        for stage, run in execution.stages.items()
        for action, attempts in run.actions.items()
        if attempts[-1].status is Status.SUCCEEDED
        and Asked.of(attempts[-1]).environment == environment
        for digest in asdict(seen_by(execution, stage, action))["artifacts"].values()
    }


def _key(row: RowMapping) -> tuple[str, str, str, int]:
    return row["execution_id"], row["stage"], row["action"], row["attempt"]
