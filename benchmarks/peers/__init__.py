"""Those that the project is compared with, and itself: one file each."""

import importlib
import pkgutil
from collections.abc import Sequence

from benchmarks.harness import Contender, Outcome
from benchmarks.lab import Lab
from benchmarks.work import Work


class Peer:
    """Something that can carry out pipelines.

    Attributes:
        name: As the tables show it.
        slow: Whether only the full run waits for it.
    """

    name: str
    slow = False

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def start(self) -> None:
        """Install it, and start its daemons.

        Raises:
            Missing: It cannot be had on this machine.
        """

    def can(self, work: Work) -> bool:
        """Whether it takes part in this work."""
        raise NotImplementedError

    def run(self, work: Work) -> Outcome | None:
        """Do the work, and return when it is done."""
        raise NotImplementedError

    def daemons(self) -> Sequence[int]:
        """Numbers of the processes that serve it."""
        return ()

    def rounds(self, work: Work, full: int) -> int:
        """Of how many rounds it takes part in; those that take minutes say fewer."""
        return full

    def contender(self, work: Work, rounds: int) -> Contender:
        return Contender(
            self.name, lambda: self.run(work), self.daemons, self.rounds(work, rounds)
        )


def peers() -> list[type[Peer]]:
    """All of them: each module of this package has one or more."""
    found: list[type[Peer]] = [Peer]
    for module in pkgutil.iter_modules(__path__):
        if not module.ispkg and not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")
    for each in found:
        found.extend(each.__subclasses__())
    return sorted(found[1:], key=lambda peer: peer.name)
