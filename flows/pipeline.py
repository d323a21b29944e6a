"""The pipeline flow: one template for every pipeline."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from prefect_delivery import control
from prefect_delivery.actions import run_logger
from prefect_delivery.definition import load_file
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.errors import ActionFailed
from prefect_delivery.flows.loop import Loop, Observer
from prefect_delivery.flows.page import Page
from prefect_delivery.flows.performers import Engine, task_runner
from prefect_delivery.ledger import Ledger

_also: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Let `observer` watch the pipelines that run inside of this block."""
    token = _also.set(observer)
    try:
        yield
    finally:
        _also.reset(token)


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
        definition: Path of a `delivery.yaml`, or a definition as data.
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
    if execution_id is None:
        execution_id = control.start(
            ledger,
            _read(definition),
            variables=variables,
            revisions=revisions,
            trigger=trigger,
            started_by=started_by,
        ).id
    execution = ledger.executions.get(execution_id)
    async with get_client() as client:
        flow_run = await _name_run(client, execution)
        page = Page(client, execution)
        loop = Loop(ledger, execution_id, Engine(), _Observer(page), flow_run)
        try:
            ended = await loop.run()
        finally:
            await page.close()
    # Prefect takes a returned state for the flow's own, and hands out what it holds.
    return cast("dict[str, Any]", _state(ended))


def _read(definition: str | dict[str, Any]) -> Pipeline:
    if isinstance(definition, str):
        return load_file(Path(definition))
    return Pipeline.model_validate(definition)


async def _name_run(client: PrefectClient, execution: Execution) -> str:
    """Show the run as `shop #42`, found by its tags, and return its id."""
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None  # noqa: S101 - in a flow
    tags = {*context.flow_run.tags, f"pipeline:{execution.pipeline}", "delivery"}
    await client.update_flow_run(
        context.flow_run.id, name=execution.title, tags=sorted(tags)
    )
    return str(context.flow_run.id)


@dataclass
class _Observer:
    """Shows an execution on its Prefect page and to whoever else watches."""

    page: Page
    also: Observer | None = field(default_factory=_also.get)
    _logger: Any = field(default_factory=run_logger)

    def changed(self, execution: Execution) -> None:
        self.page.show(execution)
        if self.also:
            self.also.changed(execution)

    def line(self, action: str, line: str) -> None:
        self._logger.info("%s", f"{action} | {line}")
        if self.also:
            self.also.line(action, line)

    def waits(self, execution: Execution) -> bool:
        return self.also.waits(execution) if self.also else True


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
