"""Executions as JSON data: what `-o json` answers. Keys are added, never renamed."""

from datetime import datetime
from typing import Any

from prefect_delivery.engine.conditions import rules_of
from prefect_delivery.engine.state import ActionRun, Execution, StageRun
from prefect_delivery.stages import lasted


def execution_data(execution: Execution, now: datetime) -> dict[str, Any]:
    """Everything the ledger says of an execution, but for its definition."""
    stop = execution.stop
    return {
        "id": execution.id,
        "pipeline": execution.pipeline,
        "number": execution.number,
        "status": execution.status.value,
        "reason": execution.reason,
        "started": _time(execution.started),
        "ended": _time(execution.ended),
        "seconds": lasted(execution.started, execution.ended, now),
        "trigger": execution.trigger,
        "started_by": execution.started_by,
        "definition": execution.definition.digest,
        "variables": execution.variables,
        "revisions": execution.revisions,
        "only": list(execution.only) if execution.only else None,
        "stop": {"by": stop.by, "reason": stop.reason} if stop else None,
        "flow_run": execution.flow_run,
        "stages": [
            _stage(execution, name)
            for name in execution.only or execution.definition.stages
        ],
    }


def _stage(execution: Execution, name: str) -> dict[str, Any]:
    run = execution.stages.get(name)
    stage = execution.definition.stages[name]
    return {
        "name": name,
        "status": run.status.value if run else None,
        "reason": run.reason if run else None,
        "started": _time(run.started) if run else None,
        "ended": _time(run.ended) if run else None,
        "actions": [
            {
                "name": action,
                "uses": spec.uses,
                "attempts": [_attempt(made) for made in _attempts(run, action)],
            }
            for action, spec in stage.actions.items()
        ],
        "rules": [
            {
                "name": rule,
                "uses": spec.uses,
                "attempts": [_attempt(made) for made in _attempts(run, rule)],
            }
            for rule, spec in rules_of(stage).items()
        ],
        "overridden": run.overridden if run else {},
    }


def _attempts(run: StageRun | None, action: str) -> tuple[ActionRun, ...]:
    return run.actions.get(action, ()) if run else ()


def _attempt(run: ActionRun) -> dict[str, Any]:
    return {
        "attempt": run.attempt,
        "status": run.status.value,
        "started": _time(run.started),
        "ended": _time(run.ended),
        "due": _time(run.due),
        "error": run.error,
        "summary": run.summary,
        "link": run.link,
        "artifacts": {
            name: {"digest": ref.digest, "size": ref.size}
            for name, ref in run.artifacts.items()
        },
        "variables": run.variables,
        "reports": run.reports,
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
