"""The command `changes`: what came from outside, and what became of it."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.terminal import Format, one_line, write, write_json
from prefect_delivery.ledger import Ledger


def changes(
    pipeline: str | None = None,
    /,
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """List what came from outside, and its end.

    Pushes, pull requests and successes of other pipelines, the newest first: each with
    the execution that it started, or why it started none.

    For example:

        deliver changes
        deliver changes shop -o json

    Args:
        pipeline: Only for this one.
        limit: How many.
        output: `json` for programs.
    """
    ledger = Ledger.open()
    found = ledger.changes.list(pipeline, limit=limit)
    if output == "json":
        write_json([vars(each) for each in found])
        return OK
    for each in found:
        if each.execution_id is not None:
            end = f"started {ledger.executions.get(each.execution_id).title}"
        else:
            end = f"ignored: {each.reason}"
        noted = f"{each.noted:%Y-%m-%d %H:%M:%S}"
        write(one_line(f"{noted}  {each.pipeline}  {each.change}  {end}"))
    if not found:
        write("nothing came yet (deploy a pipeline: deliver deploy)")
    return OK
