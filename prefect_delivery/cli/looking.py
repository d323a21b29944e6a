"""Commands that read the ledger: status, history, releases."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from prefect_delivery.cli.approvals import approval_lines
from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.data import execution_data
from prefect_delivery.cli.drive import follow
from prefect_delivery.cli.exits import code_of
from prefect_delivery.cli.moments import moment
from prefect_delivery.cli.target import find_execution, parse_target
from prefect_delivery.cli.terminal import Format, one_line, show, write, write_json
from prefect_delivery.cli.views import (
    headline,
    next_commands,
    overview,
    release_table,
    tree,
)
from prefect_delivery.cli.waiting_runs import tell_of_waiting_runs
from prefect_delivery.control import approval_view, waiting_actions
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.ledger import Ledger

Output = Annotated[Format, Parameter(name=["--output", "-o"])]
Limit = Annotated[int, Parameter(name=["--limit", "-n"])]


def status(
    *execution: str,
    watch: Annotated[bool, Parameter(negative="")] = False,
    timeout: float | None = None,
    output: Output = "text",
) -> int:
    """Show how executions stand.

    Without arguments, the latest execution of every pipeline; with a pipeline, its
    latest execution in full. Runs of deployed pipelines that no worker takes up are
    named, with what they wait for.

    For example:

        deliver status
        deliver status shop 42 --watch
        deliver status shop -o json

    Args:
        execution: PIPELINE, NUMBER or both.
        watch: Stay until it has ended.
        timeout: Minutes to watch at most.
        output: `json` for programs.

    Returns:
        For one execution: 0 succeeded or running, 1 failed, 3 stopped or rejected,
        5 waiting for a decision, 124 when the time to watch is over.
    """
    ledger = Ledger.open()
    if not execution and not watch:
        latest = [
            execution
            for pipeline in ledger.executions.pipelines()
            for execution in ledger.executions.list(pipeline, limit=1)
        ]
        _list(latest, output)
        if output == "text":
            tell_of_waiting_runs(ledger)
        return OK
    found, _ = find_execution(ledger, execution)
    if watch and output == "text":
        return follow(ledger, found, minutes=timeout)
    code = _one(found, output)
    if output == "text" and not found.status.ended:
        tell_of_waiting_runs(ledger, found.pipeline)
    return code


def history(
    pipeline: str | None = None,
    /,
    *,
    status: Annotated[list[Status], Parameter(negative="")] = [],
    since: str | None = None,
    limit: Limit = 20,
    output: Output = "text",
) -> int:
    """List earlier executions.

    The newest comes first.

    For example:

        deliver history
        deliver history shop -n 5
        deliver history shop --status failed --since 7d

    Args:
        pipeline: Only of this pipeline.
        status: Only those that stand so; may be given several times.
        since: Only those that started since: 30m, 12h, 7d, 2w, or a date or time.
        limit: How many.
        output: `json` for programs.
    """
    ledger = Ledger.open()
    name = None
    if pipeline:
        name = parse_target([pipeline], ledger.executions.pipelines()).pipeline
    start = moment(since, datetime.now(UTC)) if since else None
    found = ledger.executions.list(name, limit=limit, statuses=status, since=start)
    if not found and (status or since) and output == "text":
        write("no execution fits")
        return OK
    return _list(found, output)


def releases(environment: str, /, *, limit: Limit = 20, output: Output = "text") -> int:
    """List what an environment has run.

    The newest comes first.

    For example:

        deliver releases production

    Args:
        environment: Its name.
        limit: How many.
        output: `json` for programs.
    """
    ledger = Ledger.open()
    name = ledger.environments.get(environment).name
    current = ledger.releases.current(name)
    found = ledger.releases.list(name, limit)
    kept_out = {one.release: one for one in ledger.quarantine.list(name)}
    # What was never committed is not in the list, and yet may not come in.
    known = {release.digest for release in found}
    found += [ledger.releases.get(digest) for digest in kept_out if digest not in known]
    if output == "json":
        digest = current.digest if current else None
        write_json(
            [
                asdict(r)
                | {
                    "current": r.digest == digest,
                    "quarantined": asdict(kept_out[r.digest])
                    if r.digest in kept_out
                    else None,
                }
                for r in found
            ]
        )
    elif found:
        show(release_table(found, current.digest if current else None, kept_out))
    else:
        write(f"nothing was released to '{name}' (there are: deliver env ls)")
    return OK


def _one(execution: Execution, output: Format) -> int:
    now = datetime.now(UTC)
    if output == "json":
        write_json(execution_data(execution, now))
    else:
        show(headline(execution, now), tree(execution, now))
        for closed in Ledger.open().transitions.list(execution.pipeline):
            said = one_line(f"{closed.stage} is frozen by {closed.by}: {closed.reason}")
            write(f"  {said}")
        for stage, action in waiting_actions(execution):
            view = approval_view(Ledger.open(), execution, stage, action)
            write(f"  {one_line(f'{stage} / {action}')} is to be approved:")
            for line in approval_lines(view):
                write(f"    {line}")
        for command in next_commands(execution):
            write(f"  {command}")
    return code_of(execution)


def _list(executions: Sequence[Execution], output: Format) -> int:
    now = datetime.now(UTC)
    if output == "json":
        write_json([execution_data(execution, now) for execution in executions])
    elif executions:
        show(overview(executions, now))
    else:
        write("no pipeline has run yet (start one: deliver run --local)")
    return OK
