"""Drives or watches an execution from the terminal, and says how it ended."""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import NoReturn, Self

from prefect_delivery import control
from prefect_delivery.cli.codes import TIMEOUT
from prefect_delivery.cli.exits import code_of
from prefect_delivery.cli.question import Question
from prefect_delivery.cli.reporter import Reporter, reporter
from prefect_delivery.cli.terminal import (
    clean,
    complain,
    may_ask,
    may_move,
    one_line,
    show,
    write,
)
from prefect_delivery.cli.views import ending, next_commands
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.holder import is_dead
from prefect_delivery.ledger import Ledger
from prefect_delivery.readiness import can_go_on

TAIL = 20
"""Log lines shown of a failed action."""
LOOK = 0.5
"""Seconds between two looks into the ledger."""


def drive(
    ledger: Ledger, execution: Execution, *, local: bool, wait: bool, lines: bool
) -> int:
    """Carry out an execution in this process, and show it, inside of `UseServer`.

    Args:
        local: Without Prefect's engine and server.
        wait: Stay when only decisions are missing, and ask for them at a terminal.
        lines: Show every line that actions log.

    Returns:
        The exit code.
    """
    notices: list[str] = []
    ended = show_execution(
        ledger, execution, local=local, wait=wait, lines=lines, notices=notices
    )
    if notices:
        _leave(code_of(ended))
    if ended.status.ended:
        go_on(ledger, execution.pipeline, local=local)
    return code_of(ended)


def go_on(ledger: Ledger, pipeline: str, *, local: bool) -> None:
    """Go on with executions that waited for a stage and have no process any more.

    Whoever removes what was in their way carries them on, the oldest first.
    """
    for execution in stranded(ledger, pipeline):
        show_execution(ledger, execution, local=local, wait=False)
    wake_deployed(ledger, pipeline)


def wake_deployed(
    ledger: Ledger,
    pipeline: str | None = None,
    say: Callable[[str], None] = lambda line: write(one_line(line)),
) -> bool:
    """Let Prefect carry on the deployed executions that can go on.

    Args:
        pipeline: Only of this one; of all, runs without an execution are set right, too.
        say: Takes what was done, a line each.

    Returns:
        False when some may wait and no server is configured to ask.
    """
    deployed = pipeline is None and ledger.deployments.list()
    if not (deployed or ledger.executions.has_deployed(pipeline)):
        return True
    from prefect_delivery.deployments.reachable import configured_server
    from prefect_delivery.flows.lost_runs import set_lost_runs_right
    from prefect_delivery.flows.waking import wake

    if configured_server() is None:
        return False
    wake(ledger, say, pipeline=pipeline)
    if pipeline is None:
        set_lost_runs_right(ledger, say)
    return True


def stranded(ledger: Ledger, pipeline: str) -> list[Execution]:
    """Executions that no process drives, the oldest first.

    They wait for a stage; or what they waited for has come, such as an approval, and
    whoever brought it has ended before it could carry them on.
    """
    now = datetime.now(UTC)
    return [
        execution
        for execution in reversed(ledger.executions.list(pipeline, open_only=True))
        if not execution.deployed
        and (_is_in_line(execution) or _has_what_it_wanted(ledger, execution, now))
        and not is_driven(ledger, execution)
    ]


def _is_in_line(execution: Execution) -> bool:
    return any(run.status is Status.WAITING for run in execution.stages.values())


def _has_what_it_wanted(ledger: Ledger, execution: Execution, now: datetime) -> bool:
    return execution.status is Status.WAITING and can_go_on(ledger, execution, now)


def _leave(code: int) -> NoReturn:
    """End the process without what Prefect does at its end.

    A server that is gone would be told of each event, for seconds each.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def show_execution(
    ledger: Ledger,
    execution: Execution,
    *,
    local: bool,
    wait: bool = True,
    lines: bool = False,
    notices: list[str] | None = None,
) -> Execution:
    """Carry out an execution and show it; see `drive`.

    Args:
        notices: Takes what went wrong between us and Prefect's server.
    """
    from prefect_delivery.flows.run import Watch, run_execution

    def notice(text: str) -> None:
        complain(text)
        if notices is not None:
            notices.append(text)

    with reporter(lines=lines, known=execution) as shown:
        ask = Question(ledger, shown) if wait and may_ask() else None
        watch = Watch(shown.changed, shown.line, ask, wait, on_notice=notice)
        ended = run_execution(execution.id, watch, local=local, ledger=ledger)
        shown.changed(ended)
    conclude(ended)
    return ended


def need_server(local: bool) -> None:
    """Make sure, before anything is recorded, that a configured server answers.

    Raises:
        Refused: It does not.
    """
    if not local:
        from prefect_delivery.deployments.reachable import configured_server

        configured_server()


class UseServer:
    """Inside of it, Prefect uses the configured server, or our private one.

    An execution is recorded inside of it: without a server nothing has happened, and
    the time that ours takes to start is not the execution's.

    Attributes:
        url: Of the server's API; None without a server.
    """

    def __init__(self, local: bool) -> None:
        self.url: str | None = None
        self._local = local
        self._settings = ExitStack()

    def __enter__(self) -> Self:
        # Prefect tells the terminal of each failure with a traceback; its pages keep it.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        # And of each event and log line that its server did not take.
        os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
        logging.raiseExceptions = False
        if not self._local:
            self._connect()
        return self

    def __exit__(self, *ended: object) -> None:
        self._settings.close()

    def _connect(self) -> None:
        from prefect.settings import PREFECT_API_URL, temporary_settings

        from prefect_delivery.deployments.private_server import private_server
        from prefect_delivery.deployments.reachable import configured_server

        self.url = configured_server()
        if self.url is None:
            self.url = private_server(write)
            changed = temporary_settings({PREFECT_API_URL: self.url})
            self._settings.enter_context(changed)


def follow(ledger: Ledger, execution: Execution, *, minutes: float | None) -> int:
    """Watch an execution that another process drives, until it has ended.

    Args:
        minutes: How long to watch; without end by default.

    Returns:
        The exit code; 124 when the time was over first.
    """
    until = time.monotonic() + minutes * 60 if minutes else None
    with reporter() as shown:
        current = _follow(ledger, execution, shown, until)
    conclude(current)
    return code_of(current) if current.status.ended else TIMEOUT


def _follow(
    ledger: Ledger, execution: Execution, shown: Reporter, until: float | None
) -> Execution:
    while True:
        current = ledger.executions.get(execution.id)
        shown.changed(current)
        if current.status.ended or (until and time.monotonic() >= until):
            return current
        time.sleep(LOOK)


def is_driven(ledger: Ledger, execution: Execution) -> bool:
    """Whether a process that lives, as far as is known, drives an execution."""
    owner = ledger.executions.owner(execution.id)
    return owner is not None and not owner.expired and not is_dead(owner.holder)


def conclude(execution: Execution) -> None:
    """Say how an execution stands: what failed, and what a person may do now."""
    if execution.status is Status.FAILED:
        _show_failure(execution)
    write(ending(execution, datetime.now(UTC)))
    for command in next_commands(execution):
        write(f"  {command}")


def _show_failure(execution: Execution) -> None:
    """The end of the log of what failed last."""
    files = list(control.logs(execution, failed=True))
    if not files:
        return
    file = files[-1]
    lines = [clean(line) for line in file.lines()]
    shown = f"last {min(TAIL, len(lines))} of {len(lines)} lines"
    title = f"{file.stage} / {file.action}: {shown}"
    if may_move():
        from rich.panel import Panel
        from rich.text import Text

        body = Text("\n".join(lines[-TAIL:]))
        show(Panel(body, title=Text(title), border_style="red"))
        return
    write(f"-- {title}")
    for line in lines[-TAIL:]:
        write(f"   {line}")
