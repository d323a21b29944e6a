"""The command `override`: a person says that a condition need not be met."""

from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.drive import is_driven, wake_deployed
from prefect_delivery.cli.target import find_execution
from prefect_delivery.cli.terminal import one_line, write
from prefect_delivery.engine.conditions import When
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

Words = Annotated[str, Parameter(required=True)]


def override(
    *stage: Words,
    message: Annotated[str, Parameter(name=["--message", "-m"])],
    when: When | None = None,
) -> int:
    """Let a stage go on though a condition is not met.

    What the condition still asks ends. A stage that has failed for it passes it when it
    is retried; one that was skipped stays skipped. It holds for this execution only.

    For example:

        deliver override shop 42 Production -m "hotfix, agreed with Ann"

    Args:
        stage: PIPELINE, NUMBER and STAGE; the latest execution by default.
        message: Why; kept in the ledger.
        when: Which condition; by default the one that is in the way.
    """
    ledger = Ledger.open()
    found, rest = find_execution(ledger, stage, extra=1)
    if not rest:
        hint = "deliver override PIPELINE [NUMBER] STAGE -m REASON"
        raise Refused("name one stage", hint=hint)
    name = rest[0]
    chosen = control.override(
        ledger,
        found.pipeline,
        found.number,
        name,
        when=when,
        by=control.person(),
        reason=message,
    )
    who = one_line(control.person())
    write(f"{found.title}: {chosen} of {name} overridden by {who}")
    target = f"{found.pipeline} {found.number}"
    if is_driven(ledger, found):
        write(f"  watch: deliver status {target} --watch")
    elif found.status.ended:
        write(f"  again: deliver retry {target}")
    elif found.deployed:
        wake_deployed(ledger, found.pipeline)
    return OK
