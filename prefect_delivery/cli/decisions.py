"""Commands that record what a person wants: approve, reject, stop, reconcile."""

from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.approvals import approval_lines
from prefect_delivery.cli.codes import OK, WAITING
from prefect_delivery.cli.drive import (
    UseServer,
    drive,
    is_driven,
    need_server,
    wake_deployed,
)
from prefect_delivery.cli.target import find_execution
from prefect_delivery.cli.terminal import Format, may_ask, one_line, write, write_json
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger

Message = Annotated[str, Parameter(name=["--message", "-m"])]
Output = Annotated[Format, Parameter(name=["--output", "-o"])]
Flag = Annotated[bool, Parameter(negative="")]
Decide = Callable[..., Execution]


def approve(
    *execution: str,
    message: Message = "",
    action: str | None = None,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False,
    local: Flag = False,
) -> int:
    """Approve what waits for a decision.

    Shows what there is to decide first, and at a terminal asks whether to do it. Once
    everybody has approved who must, the process that drives the execution goes on with
    it; where none is left, this command goes on with it here.

    For example:

        deliver approve -m "smoke test is fine"
        deliver approve shop 42 --action Production/approve

    Args:
        execution: PIPELINE, NUMBER or both; the latest by default.
        message: Why; kept in the ledger.
        action: ACTION or STAGE/ACTION, where several wait.
        yes: Do not ask.
        local: Where it goes on here: without Prefect's engine and server.
    """
    ask = may_ask() and not yes
    return _decide(control.approve, execution, message, action, local, ask)


def reject(
    *execution: str,
    message: Message = "",
    action: str | None = None,
    local: Flag = False,
) -> int:
    """Reject what waits for a decision.

    Its stage fails.

    For example:

        deliver reject shop 42 -m "prices are wrong"

    Args:
        execution: PIPELINE, NUMBER or both; the latest by default.
        message: Why; kept in the ledger.
        action: ACTION or STAGE/ACTION, where several wait.
        local: Where it goes on here: without Prefect's engine and server.
    """
    return _decide(control.reject, execution, message, action, local)


def stop(
    *execution: str,
    message: Message = "",
    abandon: Flag = False,
    hold: Flag = False,
    rollback: Flag = False,
) -> int:
    """Stop an execution.

    What runs ends by itself, unless `--abandon` is given; nothing more is started. A
    rollout that is abandoned is undone, so that the release before it serves; with
    `--hold` it stays where it is and its environment is locked. A rollback is never cut
    short: it is finished, or held. To stop twice changes nothing.

    For example:

        deliver stop shop 42 -m "wrong branch"
        deliver stop --abandon
        deliver stop shop --hold -m "let us look at the canary"

    Args:
        execution: PIPELINE, NUMBER or both; the latest by default.
        message: Why; kept in the ledger.
        abandon: End what runs too.
        hold: Abandon, and leave rollouts where they are.
        rollback: Abandon, and undo rollouts; as `--abandon` does.
    """
    if hold and rollback:
        raise Refused("choose: --hold or --rollback", hint="deliver stop --help")
    ledger = Ledger.open()
    found, _ = find_execution(ledger, execution)
    stopped = control.stop(
        ledger,
        found.pipeline,
        found.number,
        by=control.person(),
        reason=message,
        abandon=abandon or hold or rollback,
        hold=hold,
    )
    if is_driven(ledger, stopped):
        write(f"{stopped.title} is told to stop")
        write(f"  watch: deliver status {stopped.pipeline} {stopped.number} --watch")
        return OK
    # Nobody is there to take notice; driving it here closes it.
    with UseServer(local=True):
        drive(ledger, stopped, local=True, wait=False, lines=False)
    if stopped.deployed:
        wake_deployed(ledger, stopped.pipeline)
    return OK


def reconcile(*, output: Output = "text") -> int:
    """Set right what dead processes left behind.

    Rollouts are finished or undone, executions without a process are closed, workspaces
    without an owner are removed. Deployed executions that waited and can go on are
    resumed, those that lost their process are carried out again. Webhooks
    are carried out, and notifications sent, that could not be before. Safe to repeat at
    any time; a deployed reconcile does it each minute.

    For example:

        deliver reconcile

    Args:
        output: `json` for programs: a list of what was done, a line each.
    """
    from prefect_delivery.flows.reconcile import set_right

    done: list[str] = []

    def say(line: str) -> None:
        done.append(one_line(line))
        if output == "text":
            write(done[-1])

    ledger = Ledger.open()
    set_right(ledger, say)
    if not wake_deployed(ledger, say=say):
        say("deployed executions were not looked at: no Prefect server is configured")
    if output == "json":
        write_json(done)
    elif not done:
        write("nothing to set right")
    return OK


def _decide(
    decide: Decide,
    words: tuple[str, ...],
    message: str,
    action: str | None,
    local: bool,
    ask: bool = False,
) -> int:
    ledger = Ledger.open()
    found, _ = find_execution(ledger, words)
    need_server(local or is_driven(ledger, found))
    found, stage, name = control.waiting_approval(
        ledger, found.pipeline, found.number, action
    )
    view = control.approval_view(ledger, found, stage, name)
    write(f"Ⅱ {one_line(view.title)}")
    for line in approval_lines(view):
        write(f"  {line}")
    if ask and not _is_sure():
        write("nothing was decided")
        return WAITING
    decided = decide(
        ledger,
        found.pipeline,
        found.number,
        by=control.person(),
        comment=message,
        action=f"{stage}/{name}",
        seen=view.fingerprint,
    )
    write(f"{decided.title}: {decide.__name__} by {one_line(control.person())} noted")
    if (stage, name) in control.waiting_actions(decided):
        for missing in control.approval_view(
            ledger, decided, stage, name
        ).ballot.missing:
            write(f"  still missing: {one_line(str(missing))}")
        return WAITING
    if is_driven(ledger, decided):
        write(f"  watch: deliver status {decided.pipeline} {decided.number} --watch")
        return OK
    if decided.deployed and not local:
        # Its own run carries it on, wherever its worker is.
        wake_deployed(ledger, decided.pipeline)
        write(f"  watch: deliver status {decided.pipeline} {decided.number} --watch")
        return OK
    with UseServer(local):
        return drive(ledger, decided, local=local, wait=True, lines=False)


def _is_sure() -> bool:
    try:
        return input("approve this? [y/N]: ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
