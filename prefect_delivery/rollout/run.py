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
from prefect_delivery.rollout.journal import UNDO, Held, Journal, Stopped
from prefect_delivery.rollout.plan import PlannedStep, plan_steps
from prefect_delivery.rollout.target import HookTime, Target

CHECK_INTERVAL = 5.0
"""Seconds between two checks of a release that is being watched."""
UNDO_ATTEMPTS = 3
UNDO_PAUSE = 1.0
"""Seconds before the way back is tried again; twice as long each time."""

LOOK = 0.2
"""Seconds until somebody's wish is noticed while a release is being watched."""

_NOT_OURS = (LeaseLost, LedgerError)
"""After these we may not, or cannot, go on; whoever comes next reads the journal."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A rollout in the hands of the process that holds the environment's lease.

    Attributes:
        release: What goes in.
        previous: What was current before; None for the first release.
        fence: The lease's token.
        cancelled: Set when the rollout shall be undone; a rollback is finished instead.
        hold: Set when the rollout shall stay where it is once its step has ended.
    """

    target: Target
    environment: str
    release: Release
    previous: Release | None
    journal: Journal
    fence: int
    log: Callable[[str], None]
    cancelled: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event = field(default_factory=threading.Event)

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

        A rollback that is undone has failed: it leaves the release that somebody wanted
        to be rid of, so a person must look. It goes back one level and no further.

        Raises:
            RolloutFailed: It did not work; the environment is locked.
        """
        self.log(f"going back to {title(self.previous)}: {reason}")
        failure = ""
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
                if not self._is_rollback:
                    return self.journal.close("rolled-back", reason)
                return self._lock(
                    f"the rollback to {title(self.release)} failed: {reason}"
                )
        self._save_traffic()
        self._lock(f"{reason}; then: {failure}")
        raise self._failed(
            f"{reason}; going back failed as well: {failure}", hint=self._repair
        )

    def _lock(self, reason: str) -> Rollout:
        """Give up, and let nobody in until a person has looked."""
        closed = self.journal.close("rollback-failed", reason)
        self.log(f"{self.environment} IS LOCKED: {reason}")
        self.log(f"next: {self._repair}")
        return closed

    def _save_traffic(self) -> None:
        """Where going back fails, give what served before its traffic at least."""
        if self.previous is None:
            return
        try:
            with self._undoing("shift"):
                self.target.shift(self.previous, 100, self.fence)
        except _NOT_OURS:
            raise
        except Exception as error:  # noqa: BLE001, we have given up; the split stays
            self.log(f"the traffic stays as it is: {_said(error)}")

    @property
    def _repair(self) -> str:
        return f"deliver env repair {self.environment} --back -m REASON"

    @property
    def _is_rollback(self) -> bool:
        return self.journal.rollout.kind == "rollback"

    def _attempt(self, way: Callable[[], None]) -> Rollout:
        try:
            way()
        except _NOT_OURS:
            raise
        except Held as held:
            self.journal.close("held", held.message)
            self.log(f"{self.environment} IS LOCKED: {held.message}")
            raise self._failed(held.message, hint=self._repair) from None
        except Exception as error:
            self.undo(_said(error))
            hint = error.hint if isinstance(error, DeliveryError) else None
            if self._is_rollback:
                hint = self._repair
            raise self._failed(_said(error), hint=hint) from error
        except BaseException as error:
            # A rollback is not turned round for that: whoever comes next resumes it.
            if not self._is_rollback:
                self.undo(type(error).__name__)
            raise
        return self.journal.close("committed")

    def _go_forward(self) -> None:
        strategy = "blue-green" if self._is_rollback else self.target.chosen_strategy
        bake = 0 if self._is_rollback else self.target.bake
        # A first release has nothing to share the traffic with.
        shares = self.target.has_traffic and self.previous is not None
        share = 0.0
        for step in plan_steps(strategy, shares, bake=bake):
            self._heed(share)
            if not (_is_hook(step) and self.journal.has_done(step.verb)):
                self._do(step)
            share = step.percent if step.verb == "shift" else share

    def _heed(self, share: float) -> None:
        """End here when somebody wants it; the last step has been done whole."""
        if self.hold.is_set():
            raise self._held(share)
        if self._is_stopped:
            raise Stopped("stopped")

    def _held(self, share: float) -> Held:
        rest = f"{title(self.previous)} has the rest" if self.previous else ""
        has = f"{title(self.release)} has {share:g} % of the traffic"
        return Held(f"held while {has}" + (f", {rest}" if rest else ""))

    @property
    def _is_stopped(self) -> bool:
        # A rollback is the way to safety: it is finished, whoever stops it.
        return self.cancelled.is_set() and not self._is_rollback

    def _do(self, step: PlannedStep) -> None:
        self.log(f"{step.verb} {title(self.release)} {_shown(step)}".rstrip())
        with self.journal.step(step.verb, step.detail):
            try:
                self._carry_out(step)
            except (Stopped, *_NOT_OURS):
                raise
            except ActionFailed as error:
                if self._is_stopped:
                    raise Stopped(_said(error)) from error
                raise

    def _carry_out(self, step: PlannedStep) -> None:
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
                heard = None if self._is_rollback else self.cancelled
                self._run_hooks(hook, heard)

    def _watch(self, step: PlannedStep) -> None:
        deadline = time.monotonic() + step.seconds
        while (left := deadline - time.monotonic()) > 0:
            self._wait(min(left, CHECK_INTERVAL))
            self._heed(step.percent)
            self.target.verify(self.release, step.percent)

    def _wait(self, seconds: float) -> None:
        """Wait, unless somebody wants something."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.hold.is_set():
            if self.cancelled.wait(min(left, LOOK)):
                return

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
