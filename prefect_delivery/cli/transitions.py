"""The commands `freeze` and `thaw`: who may enter a stage at all."""

from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.drive import UseServer, go_on, stranded, wake_deployed
from prefect_delivery.cli.target import parse_target
from prefect_delivery.cli.terminal import write
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

Flag = Annotated[bool, Parameter(negative="")]
Words = Annotated[str, Parameter(required=True)]


def freeze(
    *stage: Words, message: Annotated[str, Parameter(name=["--message", "-m"])]
) -> int:
    """Let no execution into a stage.

    Executions wait before it; of those that a newer one supersedes, the newest goes on.

    For example:

        deliver freeze shop Production -m "holiday"

    Args:
        stage: PIPELINE and STAGE; the pipeline may be left out where there is one.
        message: Why; shown to everybody who waits.
    """
    ledger = Ledger.open()
    pipeline, name = _stage(ledger, stage)
    control.disable_transition(
        ledger, pipeline, name, by=control.person(), reason=message
    )
    write(f"{pipeline} {name} is frozen")
    write(f"  again: deliver thaw {pipeline} {name}")
    return OK


def thaw(*stage: Words, local: Flag = False) -> int:
    """Let executions into a stage again.

    One that waited and has no process any more is carried on here, or by Prefect where
    it was deployed.

    For example:

        deliver thaw shop Production

    Args:
        stage: PIPELINE and STAGE; the pipeline may be left out where there is one.
        local: What goes on here: without Prefect's engine and server.
    """
    ledger = Ledger.open()
    pipeline, name = _stage(ledger, stage)
    control.enable_transition(ledger, pipeline, name, by=control.person())
    write(f"{pipeline} {name} is open")
    if stranded(ledger, pipeline):
        with UseServer(local):
            go_on(ledger, pipeline, local=local)
    else:
        wake_deployed(ledger, pipeline)
    return OK


def _stage(ledger: Ledger, words: tuple[str, ...]) -> tuple[str, str]:
    target = parse_target(words, ledger.executions.pipelines())
    if len(target.rest) != 1:
        raise Refused("name one stage", hint="deliver freeze PIPELINE STAGE -m REASON")
    return target.pipeline, target.rest[0]
