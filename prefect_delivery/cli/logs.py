"""The command `logs`: what actions have logged, and what they log now."""

import time
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from prefect_delivery import control
from prefect_delivery.cli.codes import OK
from prefect_delivery.cli.target import find_execution
from prefect_delivery.cli.terminal import Format, clean, write, write_json
from prefect_delivery.engine.conditions import rules_of
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.logs import LogFile

LOOK = 0.5
"""Seconds between two looks for new lines."""

Flag = Annotated[bool, Parameter(negative="")]


def logs(
    *execution: str,
    failed: Flag = False,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Show what actions have logged.

    For example:

        deliver logs --failed
        deliver logs shop 42 Build/unit
        deliver logs -f

    Args:
        execution: PIPELINE, NUMBER or both, and STAGE or STAGE/ACTION; the latest
            execution by default.
        failed: Only of attempts that failed.
        follow: Go on until the execution has ended.
        output: `json` for programs.
    """
    ledger = Ledger.open()
    found, rest = find_execution(ledger, execution, extra=1)
    stage, action = _place(found, rest)
    if output == "json":
        files = control.logs(found, stage=stage, action=action, failed=failed)
        write_json([_as_data(file) for file in files])
        return OK
    shown = _Shown()
    for current in _looks(ledger, found, follow):
        shown.update(control.logs(current, stage=stage, action=action, failed=failed))
    if not shown.files:
        write(f"{found.title} has logged nothing" + (" that failed" * failed))
    return OK


class _Shown:
    """How much of each file was written already."""

    def __init__(self) -> None:
        self.files: dict[LogFile, int] = {}
        self._last: LogFile | None = None

    def update(self, files: Iterator[LogFile]) -> None:
        for file in files:
            lines = file.lines()
            start = self.files.get(file, 0)
            if start < len(lines) or file not in self.files:
                self._write(file, lines[start:])
            self.files[file] = len(lines)

    def _write(self, file: LogFile, lines: list[str]) -> None:
        if file != self._last:
            attempt = f" (attempt {file.attempt})" if file.attempt > 1 else ""
            write(f"-- {file.stage} / {file.action}{attempt}")
            self._last = file
        for line in lines:
            write(clean(line))


def _looks(ledger: Ledger, execution: Execution, follow: bool) -> Iterator[Execution]:
    """The execution as it is now, and again while it goes on."""
    while follow and not execution.status.ended:
        yield execution
        time.sleep(LOOK)
        execution = ledger.executions.get(execution.id)
    yield execution


def _place(
    execution: Execution, rest: tuple[str, ...]
) -> tuple[str | None, str | None]:
    """Stage and action that `STAGE[/ACTION]` names.

    Raises:
        Refused: The execution has no such stage or action.
    """
    if not rest:
        return None, None
    stage, _, action = rest[0].partition("/")
    stages = execution.definition.stages
    if stage not in stages:
        raise Refused(
            f"no stage '{stage}' in {execution.title} (there are: {', '.join(stages)})",
            hint=f"deliver status {execution.pipeline} {execution.number}",
        )
    actions = [*stages[stage].actions, *rules_of(stages[stage])]
    if action and action not in actions:
        raise Refused(
            f"no action '{action}' in stage {stage} (there are: {', '.join(actions)})",
            hint=f"deliver status {execution.pipeline} {execution.number}",
        )
    return stage, action or None


def _as_data(file: LogFile) -> dict[str, object]:
    return {
        "stage": file.stage,
        "action": file.action,
        "attempt": file.attempt,
        "lines": file.lines(),
    }
