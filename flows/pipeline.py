"""The pipeline flow: one template for every pipeline."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas import FlowRun, State
from prefect.context import FlowRunContext, SyncClientContext
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES
from prefect.states import Cancelled, Completed, Failed

from prefect_delivery import control
from prefect_delivery.actions import run_logger
from prefect_delivery.definition import load, load_file
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import ActionFailed
from prefect_delivery.flows.loop import Loop, drive
from prefect_delivery.flows.observer import FlowObserver, Watcher, also, notice
from prefect_delivery.flows.page import Page
from prefect_delivery.flows.performers import Engine, task_runner
from prefect_delivery.flows.signals import not_missed, taken
from prefect_delivery.flows.suspension import suspend, take_answers
from prefect_delivery.ledger import Ledger
from prefect_delivery.outbox import Courier
from prefect_delivery.retrying import retrying
from prefect_delivery.triggers import succeeded

ASK = 5.0
"""Seconds that Prefect may take to say why a run ends."""
BRIEF = 3
"""Tries, after the first, to tell Prefect how a run ended: some 20 seconds."""


@contextmanager
def observed(observer: Watcher) -> Iterator[None]:
    """Let `observer` watch the pipelines that run inside of this block."""
    token = also.set(observer)
    try:
        yield
    finally:
        also.reset(token)


@flow(
    name="pipeline",
    task_runner=task_runner(),
    persist_result=False,
    validate_parameters=False,
)
async def pipeline(
    definition: str | dict[str, Any] = "delivery.yaml",
    *,
    variables: dict[str, str] | None = None,
    revisions: dict[str, str] | None = None,
    trigger: str = "manual",
    started_by: str | None = None,
    execution_id: str | None = None,
) -> dict[str, Any]:
    """Run a pipeline: source, build, test, deploy.

    Args:
        definition: Path of a `delivery.yaml`, or a definition as data or JSON text.
        variables: Values for pipeline variables.
        revisions: Revisions to pin source actions to, by action name.
        trigger: What starts it.
        started_by: Who starts it; the user of the process by default.
        execution_id: An execution that was recorded before, instead of a new one.

    Returns:
        Title, number, status and variables of the execution; the flow's state is
        Completed, Failed or Cancelled as the execution ends.

    Raises:
        DefinitionError: The definition is written wrongly; nothing has run.
    """
    ledger = await asyncio.to_thread(Ledger.open)
    flow_run = _flow_run()
    key = _start_key(trigger, flow_run)
    if execution_id is not None:
        execution = ledger.executions.get(execution_id)
    else:
        # A run that is entered again carries on what it began, as it was written then.
        execution = ledger.executions.started_with(key) or control.start(
            ledger,
            _read(definition),
            variables=_filled_in(variables),
            revisions=_filled_in(revisions),
            trigger=trigger,
            started_by=started_by,
            key=key,
            flow_run=str(flow_run.id) if flow_run.deployment_id else None,
        )
        if execution.flow_run not in {None, str(flow_run.id)}:
            said = f"{execution.title} was started for the same, by another run"
            return cast("dict[str, Any]", Completed(message=said))
    if execution.status.ended:
        return cast("dict[str, Any]", _state(execution))
    return await _drive(ledger, execution)


def _flow_run() -> FlowRun:
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None  # noqa: S101 - in a flow
    return context.flow_run


def _start_key(trigger: str, flow_run: FlowRun) -> str:
    """What two runs share that are to start one execution.

    Prefect makes a scheduled run again after a schedule was deployed again, and may
    tell an automation of the same event twice.
    """
    match trigger.partition(" ")[0]:
        case "schedule":
            time = flow_run.expected_start_time
            return f"{flow_run.deployment_id} {trigger} {time and time.isoformat()}"
        case "event":
            return f"{flow_run.deployment_id} {trigger}"
        case _:
            return str(flow_run.id)


def _filled_in(values: dict[str, Any] | None) -> dict[str, str]:
    """What somebody wrote into a form; what was left empty counts as not given."""
    return {name: value for name, value in (values or {}).items() if value}


def _read(definition: str | dict[str, Any]) -> Pipeline:
    if isinstance(definition, str):
        # No path begins with a brace, and the text of a definition as data does.
        if definition.startswith("{"):
            return load(definition, file="definition")
        return load_file(Path(definition))
    # As JSON, a definition is text with lines again, which errors can name.
    return load(json.dumps(definition, indent=2), file="definition")


async def _drive(ledger: Ledger, execution: Execution) -> dict[str, Any]:
    flow_run = _flow_run()
    deployed = flow_run.deployment_id is not None
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(get_client())
        # For the tasks: each would open one, and load all certificates, again.
        stack.enter_context(SyncClientContext.get_or_create())
        if deployed:
            for why in await take_answers(client, flow_run.id, ledger, execution):
                notice(f"an answer does not count: {why}")
        page = Page(client, execution, flow_run, notice)
        observer = FlowObserver(ledger, page, deployed)
        loop = Loop(
            ledger,
            execution.id,
            Engine(),
            observer,
            flow_run=str(flow_run.id),
            deployed=deployed,
            who=partial(_who_ended, client, flow_run.id),
        )
        courier = Courier(ledger, execution.id, partial(run_logger().warning, "%s"))
        await asyncio.to_thread(courier.start)
        try:
            # Where nobody watches, it is Prefect's worker that ends this process.
            with taken(loop.interrupt) if also.get() else not_missed(loop.end):
                ended = await drive(loop)
        finally:
            await asyncio.to_thread(courier.close)
            await observer.close()
            if not await page.close():
                _be_brief()
    if not ended.status.ended and deployed and not also.get():
        await suspend(ended)
    # What this cannot do now, `watch` makes up for.
    await asyncio.to_thread(succeeded, ledger, ended)
    # Prefect takes a returned state for the flow's own, and hands out what it holds.
    return cast("dict[str, Any]", _state(ended))


def _be_brief() -> None:
    """Where somebody waits, let the engine try to tell a silent server for a minute.

    It reports twice what it cannot report, each time for a minute by default. The
    setting ends with the context of the task we are in.
    """
    if also.get():
        notice("telling Prefect how it ended, for about a minute")
        tries = min(BRIEF, PREFECT_CLIENT_MAX_RETRIES.value())
        retrying(tries).__enter__()


async def _who_ended(client: PrefectClient, flow_run: UUID) -> str:
    """Why this process is told to end: Prefect says so before it does that."""
    try:
        async with asyncio.timeout(ASK):
            state = (await client.read_flow_run(flow_run)).state
    except (TimeoutError, PrefectException, HTTPError):
        state = None
    if state and (state.is_cancelling() or state.is_cancelled()):
        return "its Prefect flow run was cancelled"
    return "its process was told to end"


def _state(execution: Execution) -> State[Any]:
    summary = {
        "title": execution.title,
        "pipeline": execution.pipeline,
        "number": execution.number,
        "status": str(execution.status),
        "execution_id": execution.id,
    }
    reason = f"{execution.title} {execution.status}" + (
        f": {execution.reason}" if execution.reason else ""
    )
    match execution.status:
        case Status.FAILED:
            return Failed(message=reason, data=ActionFailed(reason))
        case Status.STOPPED | Status.CANCELLED:
            return Cancelled(message=reason)
        case _:
            return Completed(message=reason, data=summary)
