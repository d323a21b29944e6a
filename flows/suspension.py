"""Suspends a deployed run that waits, and takes what was answered on its form.

A suspended run has no process, no slot of its worker and no connection. Prefect does not
say who fills in the form, so an answer is a vote by nobody in particular, which counts
only where the environment or the approval allows it.
"""

import json
from typing import Literal
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from prefect_delivery import control
from prefect_delivery.engine.policies import ANONYMOUS
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

FOREVER = 10 * 365 * 86_400
"""Seconds. The limits are in the ledger: a run that Prefect times out has failed."""
GO_ON = "look again"
"""The answer that decides nothing: how runs are woken."""


class Answer(RunInput):
    """What the form of a suspended run asks."""

    # Without a default: Prefect would take the resumption of an empty form for it.
    decision: Literal["approve", "reject", "look again"] = Field(
        description="Counts only where anonymous decisions are allowed."
    )
    about: str = Field(default="", description="STAGE/ACTION that it is about.")
    comment: str = Field(default="", description="Why; kept in the ledger.")


async def suspend(execution: Execution) -> None:
    """Suspend the current flow run; does not return."""
    waiting = control.waiting_actions(execution)
    if not waiting:
        await asuspend_flow_run(timeout=FOREVER, key=uuid4().hex)
        return
    names = [f"{stage}/{action}" for stage, action in waiting]
    form = Answer.with_initial_data(
        description=f"{execution.title} waits for {', '.join(names)}."
        " `deliver approve` records who decides; this form does not.",
        about=names[0],
    )
    await asuspend_flow_run(wait_for_input=form, timeout=FOREVER, key=uuid4().hex)


async def take_answers(
    client: PrefectClient, flow_run: UUID, ledger: Ledger, execution: Execution
) -> list[str]:
    """Record what was answered on the forms of a flow run, once; says what was refused."""
    refused = []
    inputs = await client.filter_flow_run_input(flow_run, "suspended-", 200, set())
    for each in inputs:
        if each.key.endswith("-response"):
            answer = Answer.model_validate(json.loads(each.value))
            if problem := _record(ledger, execution, answer):
                refused.append(problem)
        await client.delete_flow_run_input(flow_run, each.key)
    return refused


def _record(ledger: Ledger, execution: Execution, answer: Answer) -> str | None:
    """Vote as somebody has answered; why not, if it does not count."""
    if answer.decision == GO_ON:
        return None
    vote = control.approve if answer.decision == "approve" else control.reject
    try:
        vote(
            ledger,
            execution.pipeline,
            execution.number,
            by=ANONYMOUS,
            comment=answer.comment,
            action=answer.about or None,
        )
    except Refused as error:
        ledger.executions.note_refused(
            execution.id, by=ANONYMOUS, wish=answer.decision, reason=error.message
        )
        return error.message
    return None
