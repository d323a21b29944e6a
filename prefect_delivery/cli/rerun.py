"""The command `rerun`: an execution again, exactly as it was."""

from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.drive import UseServer, drive
from prefect_delivery.cli.target import find_execution
from prefect_delivery.ledger import Ledger
from prefect_delivery.reruns import rerun as record

Flag = Annotated[bool, Parameter(negative="")]


def rerun(
    *execution: str,
    local: Flag = False,
    wait_approval: bool = True,
    logs: Flag = False,
) -> int:
    """Run an execution again, exactly as it was.

    It has the same revisions, definition and variables, and a number of its own. A
    revision that its source has no more fails it; a newer one never takes its place. It
    deploys as well, so environments go to that revision.

    For example:

        deliver rerun shop 41

    Args:
        execution: PIPELINE, NUMBER or both; the latest by default.
        local: Without Prefect's engine and server.
        wait_approval: Stay while a decision is missing, and ask for it at a terminal.
        logs: Show every line that actions log.

    Returns:
        The exit code of `deliver run`.
    """
    ledger = Ledger.open()
    found, _ = find_execution(ledger, execution)
    with UseServer(local):
        again = record(ledger, found, by=control.person())
        return drive(ledger, again, local=local, wait=wait_approval, lines=logs)
