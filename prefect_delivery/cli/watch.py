"""The command `watch`: look at sources that no webhook tells of."""

import time
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from prefect_delivery.cli.codes import FAILED, OK
from prefect_delivery.cli.drive import UseServer
from prefect_delivery.cli.terminal import one_line, write
from prefect_delivery.ledger import Ledger


def watch(
    *,
    once: Annotated[bool, Parameter(negative="")] = False,
    every: Annotated[float, Parameter(validator=Number(gte=1))] = 60,
) -> int:
    """Look at the sources of deployed pipelines, and start what changed.

    `deliver deploy` lets Prefect do that every minute; here it is done by hand. The first
    look at a repository only notes what it has. Safe to repeat at any time.

    For example:

        deliver watch --once
        deliver watch --every 10

    Args:
        once: Look once, instead of again and again.
        every: Seconds between two looks.

    Returns:
        0; with `--once`, 1 when a source could not be read.
    """
    from prefect_delivery.flows.watch import look_around

    ledger = Ledger.open()
    with UseServer(local=False):
        while True:
            wrong = look_around(ledger, lambda line: write(one_line(line)))
            if once:
                return FAILED if wrong else OK
            time.sleep(every)
