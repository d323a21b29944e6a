"""Asks the person at the terminal to decide what waits."""

import os
import select
import sys
from collections.abc import Callable

from prefect_delivery import control
from prefect_delivery.approvals import ApprovalView
from prefect_delivery.cli.approvals import approval_lines
from prefect_delivery.cli.reporter import Reporter
from prefect_delivery.cli.terminal import one_line
from prefect_delivery.engine.state import Execution
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Ledger
from prefect_delivery.stages import latest

LOOK = 0.5
"""Seconds between looks whether somebody else has decided."""


class Question:
    """Asks about one action at a time, and records the decision."""

    def __init__(self, ledger: Ledger, reporter: Reporter) -> None:
        self._ledger = ledger
        self._reporter = reporter
        self._typed = b""

    def __call__(self, execution: Execution, stage: str, action: str) -> bool:
        """Ask, until there is a decision.

        Returns:
            False when the person leaves the decision to somebody else.
        """

        def is_decided() -> bool:
            current = self._ledger.executions.get(execution.id)
            waiting = control.waiting_actions(current)
            return current.status.ended or (stage, action) not in waiting

        with self._reporter.aside():
            return self._ask(execution, stage, action, is_decided)

    def _ask(
        self,
        execution: Execution,
        stage: str,
        action: str,
        is_decided: Callable[[], bool],
    ) -> bool:
        view = control.approval_view(self._ledger, execution, stage, action)
        _say(_words(execution, stage, action))
        for line in approval_lines(view):
            _say(f"  {line}")
        while True:
            _say("[a]pprove  [r]eject  [q]uit: ", end="")
            answer = self._line(is_decided)
            if answer is None:
                _say("")
                return True
            match answer.strip().lower()[:1]:
                case "a" | "r" as key:
                    self._decide(view, key == "a")
                    if is_decided():
                        return True
                case "q" | "\x04":
                    return False

    def _decide(self, view: ApprovalView, approved: bool) -> None:
        """Record what the person says; say why not, or who is still missing."""
        _say("comment (may be empty): ", end="")
        comment = self._line(lambda: False) or ""
        decide = control.approve if approved else control.reject
        try:
            decided = decide(
                self._ledger,
                view.execution.pipeline,
                view.execution.number,
                by=control.person(),
                comment=comment.strip("\x04 \t"),
                action=f"{view.stage}/{view.action}",
                seen=view.fingerprint,
            )
        except Refused as refused:
            _say(one_line(refused.message))
            return
        now = control.approval_view(self._ledger, decided, view.stage, view.action)
        for missing in now.ballot.missing if not now.run.status.ended else ():
            _say(f"still missing: {one_line(str(missing))}")

    def _line(self, give_up: Callable[[], bool]) -> str | None:
        """The next line typed; `\\x04` at the end of input, None when given up."""
        while b"\n" not in self._typed:
            if give_up():
                return None
            if not select.select([sys.stdin], [], [], LOOK)[0]:
                continue
            typed = os.read(sys.stdin.fileno(), 4096)
            if not typed:
                return "\x04"
            self._typed += typed
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace")


def _words(execution: Execution, stage: str, action: str) -> str:
    run = latest(execution.stages.get(stage), action)
    said = f": {one_line(run.summary)}" if run and run.summary else ""
    return f"Ⅱ {execution.title} {stage} / {action} waits for a decision{said}"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)
