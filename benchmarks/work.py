"""What contenders are asked to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """Source, build of a wheel, two test runs side by side, deploy.

    Attributes:
        cached: Whether build and tests are left out when nothing has changed.
    """

    cached: bool = False


@dataclass(frozen=True)
class Actions:
    """One execution of so many actions that run `true`."""

    count: int
    parallel: bool = False

    def __str__(self) -> str:
        return f"{'par' if self.parallel else 'seq'}{self.count}"


@dataclass(frozen=True)
class Burst:
    """So many executions at once, each of four actions that run `true`."""

    count: int


@dataclass(frozen=True)
class Push:
    """A commit is pushed; the time counts from the repository's hook to the first
    command."""


Work = Delivery | Actions | Burst | Push
