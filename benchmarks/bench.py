"""A run of the benchmarks: who takes part, what is measured, what was found."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.harness import (
    Contender,
    Ratio,
    Results,
    Sample,
    play,
    ratio,
)
from benchmarks.lab import Lab
from benchmarks.peers import Peer, peers
from benchmarks.work import Work

QUICK, FULL = 240.0, 1320.0
"""Seconds, those of installing included, after which no further case begins."""


@dataclass(frozen=True)
class Goal:
    """What a figure should not exceed.

    Attributes:
        what: The figure, in words.
        limit: The greatest value that is good.
        figure: Finds it in the results of a case.
        why: Why it is missed, where it is; kept by hand, with the measured floor.
    """

    what: str
    limit: float
    figure: Callable[[Results], Ratio | None]
    why: str = ""


def over(
    one: str, other: str, figure: Callable[[Sample], float]
) -> Callable[[Results], Ratio | None]:
    """The ratio of two contenders as the figure of a goal."""
    return lambda results: ratio(results, one, other, figure)


@dataclass(frozen=True)
class Case:
    """Contenders that do the same.

    Attributes:
        rounds: How often each.
        seconds: After which no further round begins.
        base: The contender to whom ratios are shown.
        warm: Whether a round before does not count.
    """

    name: str
    contenders: list[Contender]
    rounds: int
    seconds: float
    goals: tuple[Goal, ...] = ()
    base: str = "bash"
    warm: bool = True


@dataclass
class Bench:
    """Those who take part, installed and started when they are needed.

    Attributes:
        full: Take the time for figures that are published.
        missing: Peers that cannot be had here, with the reason.
    """

    lab: Lab
    full: bool
    say: Callable[[str], None]
    missing: dict[str, str] = field(default_factory=dict[str, str])
    _until: float = 0
    _peers: list[Peer] = field(default_factory=list[Peer])
    _started: list[Peer] = field(default_factory=list[Peer])

    def start(self) -> None:
        """Begin: from now on the time counts."""
        self._until = time.monotonic() + (FULL if self.full else QUICK)
        self._peers = [kind(self.lab) for kind in peers()]

    @property
    def left(self) -> float:
        """Seconds until no further case begins."""
        return self._until - time.monotonic()

    def case(
        self,
        name: str,
        work: Work,
        *goals: Goal,
        rounds: int,
        seconds: float,
        without: Collection[str] = (),
        warm: bool = True,
        base: str = "bash",
    ) -> Case:
        """Everybody who can does `work`, but those who are named."""
        contenders = [
            peer.contender(work, rounds)
            for peer in self._peers
            if peer.can(work) and peer.name not in without and self._is_ready(peer)
        ]
        return Case(name, contenders, rounds, seconds, goals, base, warm)

    def _is_ready(self, peer: Peer) -> bool:
        """Whether a peer takes part; when it is first needed, it is installed."""
        if peer.name in self.missing:
            return False
        if peer.slow and not self.full:
            self.missing[peer.name] = "takes part in `make bench-full` only"
        elif peer not in self._started:
            self.say(f"preparing {peer.name}")
            try:
                peer.start()
            except Exception as error:  # noqa: BLE001 - the others take part
                self.missing[peer.name] = f"{type(error).__name__}: {error}"
            else:
                self._started.append(peer)
        return peer in self._started


class Workload(Protocol):
    """A module of this package that measures something."""

    TITLE: str
    ABOUT: str

    def cases(self, bench: Bench) -> list[Case]:
        """What to measure."""
        ...


@dataclass(frozen=True)
class Measured:
    """A case, and what was measured."""

    title: str
    about: str
    case: Case
    results: Results


def measure(workload: Workload, bench: Bench) -> list[Measured]:
    """Measure all cases of a workload."""
    found: list[Measured] = []
    if bench.left < 0:
        bench.missing[workload.TITLE] = "the time was over"
        return found
    try:
        cases = workload.cases(bench)
    except Exception as error:  # noqa: BLE001 - the others are measured all the same
        bench.missing[workload.TITLE] = f"{type(error).__name__}: {error}"
        return found
    for case in cases:
        if bench.left < 0:
            bench.missing[f"{workload.TITLE}, {case.name}"] = "the time was over"
            continue
        bench.say(f"{workload.TITLE}: {case.name}")
        results = play(
            case.contenders,
            rounds=case.rounds,
            seconds=min(case.seconds, bench.left),
            warm=case.warm,
            say=bench.say,
        )
        found.append(Measured(workload.TITLE, workload.ABOUT, case, results))
    return found
