"""How an attempt is carried out: here, by a work pool, or not again at all."""

from typing import Any

from prefect import Task

from prefect_delivery.actions import Job
from prefect_delivery.definition.models import Action
from prefect_delivery.engine.conditions import spec_of
from prefect_delivery.engine.resolve import call_of
from prefect_delivery.engine.state import Execution
from prefect_delivery.flows.arguments import arguments_of
from prefect_delivery.flows.cached import run_cached
from prefect_delivery.flows.elsewhere import run_elsewhere
from prefect_delivery.ledger.cache import Cache
from prefect_delivery.registry import task_of


def work_of(
    execution: Execution, stage: str, action: str, number: int, job: Job, memory: Cache
) -> tuple[Task[..., Any], dict[str, Any]]:
    """The task that carries an attempt out, and its arguments.

    Args:
        number: Of the attempt, from 1.
        memory: Where what an earlier attempt has left is found.

    Raises:
        DeliveryError: A variable is missing, a value does not fit, or there is no such
            action.
    """
    call = call_of(execution, stage, action)
    task = task_of(call.uses)
    arguments = arguments_of(task, call, job)
    spec = spec_of(execution.definition.stages[stage], action)
    if isinstance(spec, Action) and spec.runs_on:
        return run_elsewhere, {"pool": spec.runs_on, "call": call, "job": job}
    if isinstance(spec, Action) and spec.cache:
        return run_cached, {
            "action": task,
            "call": call,
            "wish": spec.cache,
            "job": job,
            "memory": memory,
            "untrusted": execution.untrusted,
            # What was retried has been asked to run.
            "fresh": execution.fresh or number > 1,
        }
    return task, arguments
