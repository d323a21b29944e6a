"""An appspec as data: for hosts, for ECS, for Lambda."""

from dataclasses import dataclass, field
from typing import Literal

System = Literal["linux", "windows"]
Exists = Literal["DISALLOW", "OVERWRITE", "RETAIN"]

LONGEST = 3600
"""Seconds that the scripts of one event may take together."""
HOST_EVENTS = (
    *("BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeInstall"),
    *("AfterInstall", "ApplicationStart", "ValidateService"),
    *("BeforeAllowTraffic", "AfterAllowTraffic"),
)
RESERVED_EVENTS = ("BlockTraffic", "DownloadBundle", "Install", "AllowTraffic")
ECS_EVENTS = (
    *("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic"),
    *("BeforeAllowTraffic", "AfterAllowTraffic"),
)
LAMBDA_EVENTS = ("BeforeAllowTraffic", "AfterAllowTraffic")


@dataclass(frozen=True, kw_only=True)
class Copied:
    """A file or folder of the bundle, and the folder on the host that it goes into."""

    source: str
    destination: str


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Who may do what with installed files.

    Attributes:
        object: A file, or the folder that `pattern` and `exclude` are relative to.
        mode: Octal digits.
        context: Of SELinux: `user`, `type` and `range`.
        types: Whether files, folders or both are meant.
    """

    object: str
    pattern: str = "**"
    exclude: tuple[str, ...] = ()
    owner: str | None = None
    group: str | None = None
    mode: str | None = None
    acls: tuple[str, ...] = ()
    context: dict[str, str] = field(default_factory=dict[str, str])
    types: tuple[str, ...] = ("file", "directory")


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script of the bundle that runs at a lifecycle event.

    Attributes:
        runas: The user it runs as; None for the one that deploys.
    """

    location: str
    timeout: int = LONGEST
    runas: str | None = None


@dataclass(frozen=True, kw_only=True)
class HostAppspec:
    """For hosts (EC2 or on-premises).

    Attributes:
        exists: What happens to files that are there already; None for the
            deployment's own choice.
        hooks: Scripts by lifecycle event.
        notes: What is written there and has no effect.
    """

    os: System
    files: tuple[Copied, ...] = ()
    exists: Exists | None = None
    permissions: tuple[Permission, ...] = ()
    hooks: dict[str, tuple[Script, ...]] = field(
        default_factory=dict[str, tuple[Script, ...]]
    )
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where the tasks of an ECS service run."""

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    public_ip: str


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """A part of an ECS service's capacity."""

    provider: str
    base: int = 0
    weight: int = 0


@dataclass(frozen=True, kw_only=True)
class EcsAppspec:
    """For a service of Amazon ECS; hooks are Lambda functions by event."""

    task_definition: str
    container: str
    port: int
    platform_version: str | None = None
    network: Network | None = None
    capacity: tuple[Capacity, ...] = ()
    hooks: dict[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LambdaAppspec:
    """For a version of an AWS Lambda function; hooks are functions by event."""

    function: str
    alias: str
    current: str
    target: str
    hooks: dict[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


Appspec = HostAppspec | EcsAppspec | LambdaAppspec
