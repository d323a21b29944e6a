"""Which hosts of a fleet are deployed to next, as pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Predefined = Literal["OneAtATime", "HalfAtATime", "AllAtOnce"]


class MinimumHealthy(BaseModel):
    """How many hosts must stay healthy while a release goes in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["HOST_COUNT", "FLEET_PERCENT"] = Field(
        description="What the value counts; a percentage is rounded up."
    )
    value: int = Field(ge=0, description="Hosts, or percent of them.")


@dataclass(frozen=True, kw_only=True)
class HostView:
    """A host, as a rollout sees it.

    Attributes:
        current: Digest of the release that succeeded last.
        state: `healthy`; `failed` when its last deployment has not succeeded; `gone`
            when it does not answer.
        good: Digests of the releases whose rollout was committed there.
    """

    name: str
    state: Literal["healthy", "failed", "gone"]
    current: str | None = None
    good: frozenset[str] = frozenset()


def least(rule: Predefined | MinimumHealthy, hosts: int) -> int:
    """How many of the hosts must stay healthy; always less than all of them."""
    match rule:
        case "OneAtATime":
            wanted = hosts - 1
        case "HalfAtATime":
            wanted = ceil(hosts / 2)
        case "AllAtOnce":
            wanted = 0
        case MinimumHealthy(type="HOST_COUNT", value=value):
            wanted = value
        case MinimumHealthy(value=value):
            wanted = ceil(hosts * value / 100)
    return min(wanted, hosts - 1)


def next_batch(
    fleet: Sequence[HostView], digest: str, minimum: int, *, back: bool, done: set[str]
) -> list[str]:
    """Names of the hosts that are deployed to next; empty when there are none, or when
    one more that is down would be one too many.

    Hosts that are not healthy come first and cost nothing, then those without a release,
    then the others, in the order in which they are written.

    Args:
        minimum: How many must stay healthy.
        back: Whether the release was here before: the way back is never barred.
        done: Names of the hosts that have been tried.
    """
    open_hosts = [
        host
        for host in fleet
        if host.name not in done and (host.state != "healthy" or host.current != digest)
    ]
    ill = [host.name for host in open_hosts if host.state != "healthy"]
    well = [host for host in open_hosts if host.state == "healthy"]
    well.sort(key=lambda host: host.current is not None)
    spare = sum(host.state == "healthy" for host in fleet) - minimum
    harm = any(host.name in done and host.state != "healthy" for host in fleet)
    if spare < 0 and harm and not back:
        return []
    count = max(spare, 1 if back and not ill else 0)
    return [*ill, *(host.name for host in well[:count])]


def has_succeeded(
    fleet: Sequence[HostView], digest: str, minimum: int, *, back: bool
) -> bool:
    """Whether a deployment that has come to its end is a success.

    Forward, enough hosts must run the release. Back, all that answer must: the others
    cannot be helped now, and are deployed to as soon as they can.
    """
    good = [host for host in fleet if host.state == "healthy"]
    on = [host for host in good if host.current == digest]
    if back:
        return bool(on) and all(host in on or host.state == "gone" for host in fleet)
    return len(on) >= max(1, minimum) and len(on) == len(good)
