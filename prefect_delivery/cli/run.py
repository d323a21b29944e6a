"""Commands that carry out executions: run, retry, rollback."""

from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.definitions import find_definition
from prefect_delivery.cli.drive import UseServer, drive, need_server
from prefect_delivery.cli.target import Target, find_execution, parse_target
from prefect_delivery.cli.terminal import pairs, write
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

Local = Annotated[bool, Parameter(negative="")]
Logs = Annotated[bool, Parameter(negative="")]


def run(
    target: str | None = None,
    /,
    *,
    local: Local = False,
    variable: Annotated[
        list[str], Parameter(name=["--variable", "-v"], negative="", show_default=False)
    ] = [],
    source: Annotated[list[str], Parameter(negative="", show_default=False)] = [],
    cache: bool = True,
    wait_approval: bool = True,
    logs: Logs = False,
) -> int:
    """Run a pipeline and watch it.

    For example:

        deliver run --local
        deliver run shop -v greeting=hello --source app=3c1f0aa
        deliver run --no-wait-approval    # ends with 5 when a decision is missing

    Args:
        target: A definition, or the name of a pipeline that has run; delivery.yaml by
            default.
        local: Without Prefect's engine and server; the same loop, ledger and actions.
        variable: Value of a pipeline variable, as name=value.
        source: Revision that a source action is pinned to, as action=revision.
        cache: Leave out actions with `cache` of which nothing has changed.
        wait_approval: Stay while a decision is missing, and ask for it at a terminal.
        logs: Show every line that actions log.

    Returns:
        0 succeeded, 1 failed, 3 stopped or rejected, 5 waiting for a decision.
    """
    variables = pairs(variable, "-v")
    revisions = pairs(source, "--source")
    given = find_definition(target)
    ledger = Ledger.open()
    definition = given or _latest(ledger, target)
    control.check(definition, variables=variables, revisions=revisions)
    with UseServer(local):
        execution = control.start(
            ledger,
            definition,
            variables=variables,
            revisions=revisions,
            fresh=not cache,
        )
        return drive(ledger, execution, local=local, wait=wait_approval, lines=logs)


def retry(
    *execution: str,
    all: Annotated[bool, Parameter(negative="")] = False,
    lift: str | None = None,
    local: Local = False,
    wait_approval: bool = True,
    logs: Logs = False,
) -> int:
    """Run the failed actions of an execution again.

    The revisions, variables and definition stay the same. An execution that was stopped
    between two stages goes on with the next.

    For example:

        deliver retry
        deliver retry shop 42 --all
        deliver retry shop 42 --lift "the database was the reason"

    Args:
        execution: PIPELINE, NUMBER or both; the latest by default.
        all: The succeeded actions of the failed stages too.
        lift: Why what keeps its release in quarantine is lifted; kept in the ledger.
        local: Without Prefect's engine and server.
        wait_approval: Stay while a decision is missing, and ask for it at a terminal.
        logs: Show every line that actions log.

    Returns:
        The exit code of `deliver run`.
    """
    ledger = Ledger.open()
    found, _ = find_execution(ledger, execution)
    need_server(local)
    opened = control.retry(
        ledger,
        found.pipeline,
        found.number,
        by=control.person(),
        all_actions=all,
        lift_because=_reason(lift),
    )
    with UseServer(local):
        return drive(ledger, opened, local=local, wait=wait_approval, lines=logs)


def rollback(
    *stage: str,
    stages: Annotated[str | None, Parameter(show_default=False)] = None,
    to: int | None = None,
    release: str | None = None,
    lift: str | None = None,
    local: Local = False,
    wait_approval: bool = True,
    logs: Logs = False,
) -> int:
    """Run stages again as they ran before.

    The artifacts, variables and definition are those of the earlier execution, also when
    the definition has changed since. Several stages go back one after the other, the
    last of the pipeline first. What an environment goes back from is in quarantine
    there: `--lift` brings such a release back all the same.

    For example:

        deliver rollback shop Production
        deliver rollback shop Staging Production --to 41
        deliver rollback shop --stages Staging,Production --release 3c1f0aa2d1

    Args:
        stage: PIPELINE and STAGES; the pipeline may be left out where there is one.
        stages: The stages, separated by commas.
        to: Number of the execution to go back to; the last good one by default.
        release: Beginning of the digest of the release to go back to.
        lift: Why what keeps that release in quarantine is lifted; kept in the ledger.
        local: Without Prefect's engine and server.
        wait_approval: Stay while a decision is missing, and ask for it at a terminal.
        logs: Show every line that actions log.

    Returns:
        The exit code of `deliver run`.
    """
    ledger = Ledger.open()
    if lift is not None and to is None and release is None:
        raise Refused("name what to bring back: --to or --release")
    if to is not None and release is not None:
        raise Refused("choose: --to or --release", hint="deliver rollback --help")
    target = parse_target(stage, ledger.executions.pipelines())
    names = _stages(target, stages)
    with UseServer(local):
        started = control.rollback(
            ledger,
            target.pipeline,
            *names,
            to=to,
            release=release,
            by=control.person(),
            lift_because=_reason(lift),
        )
        order = ", ".join(started.only or ())
        write(f"rolling {started.pipeline} {order} back{_to(ledger, started)}")
        return drive(ledger, started, local=local, wait=wait_approval, lines=logs)


def _reason(given: str | None) -> str | None:
    """Why something is lifted; refused where there is no word of it."""
    if given is not None and not given.strip():
        raise Refused("say why: --lift REASON")
    return given


def _latest(ledger: Ledger, name: str | None) -> Pipeline:
    """The definition that a pipeline ran last."""
    target = parse_target([name] if name else [], ledger.executions.pipelines())
    if target.rest or target.number:
        raise Refused(
            f"'{name}' is neither a file nor a pipeline that has run",
            hint="deliver run FILE --local",
        )
    return ledger.executions.find(target.pipeline).definition


def _stages(target: Target, listed: str | None) -> list[str]:
    """The stages that are named, each once."""
    names = [*target.rest, *(listed or "").replace(",", " ").split()]
    if not names or target.number:
        raise Refused(
            f"name a stage of {target.pipeline}",
            hint=f"deliver rollback {target.pipeline} STAGE --to NUMBER",
        )
    return [*dict.fromkeys(names)]


def _to(ledger: Ledger, started: Execution) -> str:
    if started.carried is None:
        return ""
    return f" to #{ledger.executions.get(started.carried.execution).number}"
