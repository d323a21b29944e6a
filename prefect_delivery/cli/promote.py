"""The command `promote`: what runs in one environment goes to another."""

from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.drive import UseServer, drive
from prefect_delivery.cli.target import parse_target
from prefect_delivery.cli.terminal import write
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.precedence import origin_of

Flag = Annotated[bool, Parameter(negative="")]


def promote(
    *environments: Annotated[str, Parameter(required=True)],
    release: int | None = None,
    older: Flag = False,
    local: Flag = False,
    wait_approval: bool = True,
    logs: Flag = False,
) -> int:
    """Deploy to one environment what runs in another.

    Nothing is built again, and nothing of the target's gates is skipped: approvals,
    conditions, branches. It is an execution of its own, which can be rolled back.

    For example:

        deliver promote shop staging production
        deliver promote shop staging production --release 41

    Args:
        environments: PIPELINE, from where and to where; the pipeline may be left out
            where there is one.
        release: Number of the execution whose release is meant; by default what runs.
        older: Replace a newer release, too.
        local: Without Prefect's engine and server.
        wait_approval: Stay while a decision is missing, and ask for it at a terminal.
        logs: Show every line that actions log.

    Returns:
        The exit code of `deliver run`.
    """
    from prefect_delivery import promotions

    ledger = Ledger.open()
    target = parse_target(environments, ledger.executions.pipelines())
    if len(target.rest) != 2 or target.number:
        raise Refused("name two environments", hint="deliver promote PIPELINE FROM TO")
    start, goal = target.rest
    with UseServer(local):
        execution = promotions.promote(
            ledger,
            target.pipeline,
            start,
            goal,
            number=release,
            older=older,
            by=control.person(),
        )
        made = origin_of(ledger, execution)
        write(f"promoting {made.title} from {start} to {goal}")
        return drive(ledger, execution, local=local, wait=wait_approval, lines=logs)
