"""A buildspec as data."""

from dataclasses import dataclass, field
from typing import Literal

PhaseName = Literal["install", "pre_build", "build", "post_build"]
PHASES: tuple[PhaseName, ...] = ("install", "pre_build", "build", "post_build")

TEST_FORMATS = (
    *("CUCUMBERJSON", "JUNITXML", "NUNITXML", "NUNIT3XML"),
    *("TESTNGXML", "VISUALSTUDIOTRX"),
)
COVERAGE_FORMATS = ("CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV")


@dataclass(frozen=True, kw_only=True)
class OnFailure:
    """What happens when a phase fails.

    Attributes:
        retries: How often the build is made again.
        pattern: Only when this is found in the error or in the phase's output.
    """

    result: Literal["DEFAULT", "ABORT", "CONTINUE", "RETRY"] = "DEFAULT"
    retries: int = 0
    pattern: str = ".*"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Commands that belong together.

    Attributes:
        last: Commands that run whatever became of the others (`finally`).
        user: Who runs them; None for the build's own user.
        steps: Whether it has `steps`, which are actions of GitHub.
    """

    name: PhaseName
    commands: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    user: str | None = None
    steps: bool = False
    on_failure: OnFailure = OnFailure()


@dataclass(frozen=True, kw_only=True)
class Env:
    """The variables of a build; `exported` are handed on when it ends."""

    shell: str = "sh"
    variables: dict[str, str] = field(default_factory=dict[str, str])
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    exported: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Files:
    """Which files an artifact takes, and under which paths.

    Attributes:
        base: Glob of folders that paths are relative to.
        flat: Whether only the files' names are kept.
    """

    files: tuple[str, ...] = ()
    name: str | None = None
    base: str | None = None
    flat: bool = False
    exclude: tuple[str, ...] = ()
    symlinks: bool = False


@dataclass(frozen=True, kw_only=True)
class ReportGroup:
    """Report files and their format."""

    name: str
    files: tuple[str, ...]
    base: str | None = None
    format: str = "JUNITXML"


@dataclass(frozen=True, kw_only=True)
class Cache:
    """What is kept from build to build."""

    paths: tuple[str, ...]
    key: str | None = None
    fallback: tuple[str, ...] = ()
    restore: bool = True
    save: bool = True


@dataclass(frozen=True, kw_only=True)
class BatchBuild:
    """One build of a batch.

    Attributes:
        buildspec: Path of its buildspec; None for the one that holds the batch.
        after: Identifiers of the builds that must have succeeded.
        shard: Number of the build among those of a fan-out, and how many there are.
    """

    identifier: str
    buildspec: str | None = None
    after: tuple[str, ...] = ()
    ignore_failure: bool = False
    image: str | None = None
    variables: dict[str, str] = field(default_factory=dict[str, str])
    shard: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Builds that are run together; a matrix and a fan-out are already expanded."""

    builds: tuple[BatchBuild, ...]
    fast_fail: bool = False


@dataclass(frozen=True, kw_only=True)
class Buildspec:
    """A buildspec.

    Attributes:
        version: `0.1`, where each command has a shell of its own, or `0.2`.
        runtimes: Wanted versions by runtime.
        secondary: Further artifacts by identifier.
        notes: What is written there and has no effect here.
    """

    version: str
    env: Env = Env()
    runtimes: dict[str, str] = field(default_factory=dict[str, str])
    phases: tuple[Phase, ...] = ()
    reports: tuple[ReportGroup, ...] = ()
    artifacts: Files | None = None
    secondary: dict[str, Files] = field(default_factory=dict[str, Files])
    cache: Cache | None = None
    batch: Batch | None = None
    notes: tuple[str, ...] = ()
