"""Measure contenders side by side: interleaved rounds, wall and CPU time, pairs.

A figure is the median of the ratios of two contenders in the same round. A machine that
is busy in one round is busy for both, so ratios say something where times do not.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import psutil

CALM = 0.25
"""Seconds between two looks at whether daemons have become quiet."""
QUIET = 0.1
"""Share of a core that a daemon may use and still be quiet."""
PATIENCE = 20.0
"""Seconds that daemons have to become quiet after a run."""


class Missing(Exception):
    """A contender cannot be had on this machine; says why."""


@dataclass(frozen=True)
class Sample:
    """What one run took.

    Attributes:
        wall: Seconds.
        cpu: Seconds of user and system time, those of daemons included.
        failure: Why it does not count; empty when it does.
        more: Other figures by name.
    """

    wall: float
    cpu: float
    failure: str = ""
    more: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass
class Outcome:
    """What a run says of itself, where it took part of the call's time."""

    wall: float | None = None
    cpu: float | None = None
    more: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Contender:
    """Something that can do the work.

    Attributes:
        run: Does it once, and returns when it is done.
        daemons: Process numbers of what serves it; all below them counts too.
        rounds: Of how many rounds it takes part in at the most.
    """

    name: str
    run: Callable[[], Outcome | None]
    daemons: Callable[[], Sequence[int]] = tuple
    rounds: int = sys.maxsize


T = TypeVar("T")
Results = dict[str, list[Sample]]
"""By contender, one sample a round."""


def play(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    seconds: float,
    warm: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Let contenders do their work in turns.

    Args:
        rounds: How often each.
        seconds: No further round begins that would end after this time.
        warm: Do a round before that does not count.
        say: Takes what somebody who waits wants to know.
    """
    until = time.monotonic() + seconds
    results: Results = {contender.name: [] for contender in contenders}
    longest = 0.0
    for number in range(-1 if warm else 0, rounds):
        began = time.monotonic()
        if number > 0 and began + longest > until:
            say(f"{number} of {rounds} rounds: the time is over")
            break
        for contender in contenders:
            if number >= contender.rounds:
                continue
            sample = measure(contender)
            if sample.failure:
                say(f"{contender.name}: {sample.failure}")
            if number >= 0:
                results[contender.name].append(sample)
        longest = max(longest, time.monotonic() - began)
    return results


def measure(contender: Contender) -> Sample:
    """One run of a contender."""
    daemons = contender.daemons()
    before, ours = cpu_of(daemons), _children()
    began = time.perf_counter()
    failure, outcome = "", Outcome()
    try:
        outcome = contender.run() or outcome
    except subprocess.CalledProcessError as error:
        failure = _short(f"exit code {error.returncode}: {error.stderr or ''}")
    except Exception as error:  # noqa: BLE001 - one that fails must not end the others
        failure = _short(f"{type(error).__name__}: {error}")
    wall = time.perf_counter() - began
    calm(daemons)
    used = cpu_of(daemons) - before + _children() - ours
    return Sample(
        wall=wall if outcome.wall is None else outcome.wall,
        cpu=used if outcome.cpu is None else outcome.cpu,
        failure=failure,
        more=outcome.more,
    )


def timed(do: Callable[[], None]) -> Outcome:
    """Only this part of a run counts: what it starts and waits for."""
    ours, began = _children(), time.perf_counter()
    do()
    return Outcome(time.perf_counter() - began, _children() - ours)


def cpu_of(roots: Sequence[int]) -> float:
    """CPU seconds so far of these processes, all below, and what those have reaped."""
    return sum(
        sum(times[:4])
        for process in _trees(roots)
        if (times := _ask(process.cpu_times))
    )


def memory_of(roots: Sequence[int]) -> float:
    """Megabytes that these processes and all below hold, shared pages divided."""
    found = (_ask(process.memory_full_info) for process in _trees(roots))
    return sum(each.pss for each in found if each) / 2**20


def calm(daemons: Sequence[int]) -> None:
    """Wait until daemons have done what a run left for them to do."""
    until = time.monotonic() + PATIENCE
    last = cpu_of(daemons)
    while daemons and time.monotonic() < until:
        time.sleep(CALM)
        now = cpu_of(daemons)
        if now - last <= QUIET * CALM:
            return
        last = now


@dataclass(frozen=True)
class Ratio:
    """Median of the ratios of pairs, and the least and the greatest of them."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


def ratio(
    results: Results,
    one: str,
    other: str,
    figure: Callable[[Sample], float],
) -> Ratio | None:
    """How `one` compares to `other` in the same rounds; None without a pair."""
    pairs = [
        figure(a) / max(figure(b), 1e-4)
        for a, b in zip(results.get(one, []), results.get(other, []), strict=False)
        if not a.failure and not b.failure
    ]
    return of(pairs) if pairs else None


def of(figures: Sequence[float]) -> Ratio:
    return Ratio(statistics.median(figures), min(figures), max(figures))


def wall(sample: Sample) -> float:
    return sample.wall


def cpu(sample: Sample) -> float:
    return sample.cpu


def number(value: float) -> str:
    """With as many digits as mean anything."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def _trees(roots: Sequence[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        try:
            process = psutil.Process(pid)
            below = process.children(recursive=True)
        except psutil.NoSuchProcess:
            continue
        found |= {each.pid: each for each in (process, *below)}
    return list(found.values())


def _ask(question: Callable[[], T]) -> T | None:
    try:
        return question()
    except psutil.NoSuchProcess:
        return None


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _short(text: str) -> str:
    return " ".join(text.split())[-300:]


def load() -> float:
    return os.getloadavg()[0]
