"""One rollout under way: the way forward and the way back."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from prefect_delivery.errors import (
    ActionFailed,
    DeliveryError,
    LeaseLost,
    LedgerError,
    RolloutFailed,
)
from prefect_delivery.ledger import Release, Rollout
from prefect_delivery.rollout.journal import UNDO, Journal
from prefect_delivery.rollout.plan import PlannedStep, plan_steps
from prefect_delivery.rollout.target import HookTime, Target

CHECK_INTERVAL = 5.0
"""Seconds between two checks of a release that is being watched."""
UNDO_ATTEMPTS = 3
UNDO_PAUSE = 1.0
"""Seconds before the way back is tried again; twice as long each time."""

_NOT_OURS = (LeaseLost, LedgerError)
"""After these we may not, or cannot, go on; whoever comes next reads the journal."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A rollout in the hands of the process that holds the environment's lease.

    Attributes:
        release: What goes in.
        previous: What was current before; None for the first release.
        fence: The lease's token.
        cancelled: Set when the rollout shall be undone.
    """

    target: Target
    environment: str
    release: Release
    previous: Release | None
    journal: Journal
    fence: int
    log: Callable[[str], None]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def perform(self) -> Rollout:
        """Go forward, and back again when a step fails.

        Raises:
            RolloutFailed: A step failed; says what serves now.
        """
        return self._attempt(self._go_forward)

    def finish(self) -> Rollout:
        """End a rollout whose commit has reached the target.

        Raises:
            RolloutFailed: The commit failed; says what serves now.
        """
        return self._attempt(lambda: self._do(PlannedStep(verb="commit")))

    def undo(self, reason: str) -> Rollout:
        """Bring the previous release back, in a few attempts.

        Raises:
            RolloutFailed: It did not work; the environment is locked.
        """
        self.log(f"going back to {title(self.previous)}: {reason}")
        for attempt in range(UNDO_ATTEMPTS):
            if attempt:
                time.sleep(UNDO_PAUSE * 2 ** (attempt - 1))
            try:
                self._go_back()
            except _NOT_OURS:
                raise
            except Exception as error:  # noqa: BLE001, whatever it is, we try again
                failure = _said(error)
                self.log(f"going back failed: {failure}")
            else:
                return self.journal.close("rolled-back", reason)
        self.journal.close("rollback-failed", f"{reason}; then: {failure}")
        raise self._failed(
            f"{reason}; going back failed as well: {failure}",
            hint=f"repair it, then: deliver env unlock {self.environment} -m REASON",
        )

    def _attempt(self, way: Callable[[], None]) -> Rollout:
        try:
            way()
        except _NOT_OURS:
            raise
        except Exception as error:
            self.undo(_said(error))
            hint = error.hint if isinstance(error, DeliveryError) else None
            raise self._failed(_said(error), hint=hint) from error
        except BaseException as error:
            self.undo(type(error).__name__)
            raise
        return self.journal.close("committed")

    def _go_forward(self) -> None:
        rollback = self.journal.rollout.kind == "rollback"
        strategy = "blue-green" if rollback else self.target.chosen_strategy
        bake = 0 if rollback else self.target.bake
        # A first release has nothing to share the traffic with.
        shares = self.target.has_traffic and self.previous is not None
        for step in plan_steps(strategy, shares, bake=bake):
            if self.cancelled.is_set():
                raise ActionFailed("stopped")
            if not (_is_hook(step) and self.journal.has_done(step.verb)):
                self._do(step)

    def _do(self, step: PlannedStep) -> None:
        self.log(f"{step.verb} {title(self.release)} {_shown(step)}".rstrip())
        with self.journal.step(step.verb, step.detail):
            match step.verb:
                case "prepare":
                    self.target.prepare(self.release, self.fence)
                case "shift":
                    self.target.shift(self.release, step.percent, self.fence)
                case "verify":
                    self.target.verify(self.release, step.percent)
                case "watch":
                    self._watch(step)
                case "commit":
                    self.target.commit(self.release, self.fence)
                case hook:
                    self._run_hooks(hook, self.cancelled)

    def _watch(self, step: PlannedStep) -> None:
        deadline = time.monotonic() + step.seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.cancelled.wait(min(left, CHECK_INTERVAL)):
                raise ActionFailed("stopped")
            self.target.verify(self.release, step.percent)

    def _go_back(self) -> None:
        if self.previous:
            with self._undoing("prepare"):
                self.target.prepare(self.previous, self.fence)
            with self._undoing("shift"):
                self.target.shift(self.previous, 100, self.fence)
            with self._undoing("commit"):
                self.target.commit(self.previous, self.fence)
        if not self.previous or self.previous.digest != self.release.digest:
            with self._undoing("discard"):
                self.target.discard(self.release, self.fence)
        with self._undoing("hooks"):
            self._run_hooks("on_rollback")

    def _undoing(self, verb: str) -> AbstractContextManager[None]:
        return self.journal.step(UNDO + verb, {})

    def _run_hooks(
        self, when: HookTime, cancelled: threading.Event | None = None
    ) -> None:
        self.target.run_hooks(
            when,
            self.release,
            environment=self.environment,
            log=self.log,
            cancelled=cancelled,
        )

    def _failed(self, message: str, hint: str | None = None) -> RolloutFailed:
        serving = self.target.observe()
        return RolloutFailed(
            f"{self.environment} runs {self._named(serving)},"
            f" not {title(self.release)}: {message}",
            environment=self.environment,
            serving=serving,
            hint=hint,
        )

    def _named(self, digest: str | None) -> str:
        known = [self.release, *([self.previous] if self.previous else [])]
        for release in known:
            if release.digest == digest:
                return title(release)
        return f"release {digest[:12]}" if digest else "no release"


def title(release: Release | None) -> str:
    """Name a release for people."""
    if release is None:
        return "no release"
    made_by = f"{release.pipeline} #{release.number}" if release.number else "release"
    return f"{made_by} ({release.digest[:12]})"


def _said(error: BaseException) -> str:
    said = error.message if isinstance(error, DeliveryError) else str(error)
    return said or type(error).__name__


def _is_hook(step: PlannedStep) -> bool:
    return step.verb in {"before", "after"}


def _shown(step: PlannedStep) -> str:
    match step.verb:
        case "shift":
            return f"to {step.percent:g} %"
        case "watch":
            return f"for {step.seconds:g} s"
        case _:
            return ""
