"""What a build is made of, and what it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from prefect_delivery.actions import ActionFailed, Artifact, Report
from prefect_delivery.buildspec.loader import load_buildspec
from prefect_delivery.buildspec.models import BatchBuild, Buildspec, Phase
from prefect_delivery.definition.loader import text_of
from prefect_delivery.errors import DefinitionError
from prefect_delivery.tasks.build.buildspec_values import AwsResolver, Resolver

Runtimes = Literal["present", "exact", "ignored"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a build is made of; the fields are those of the action.

    Attributes:
        secrets: Values by the name of their variable.
        wants_artifacts: Whether somebody takes the artifacts.
        batch: The build of a batch that this one is.
    """

    source: Artifact
    extra: Mapping[str, Artifact]
    buildspec: str
    image: str | None
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    revision: str
    runtimes: Runtimes
    wants_artifacts: bool
    memory: int | None
    deadline: float
    batch: BatchBuild | None = None
    resolver: Resolver = field(default_factory=AwsResolver)


@dataclass(kw_only=True)
class Built:
    """What a build left.

    Attributes:
        artifacts: Folders by identifier; the primary one has none.
        names: What the buildspec calls them.
    """

    failure: str | None = None
    artifacts: dict[str, Path] = field(default_factory=dict[str, Path])
    names: dict[str, str] = field(default_factory=dict[str, str])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    reports: list[Report] = field(default_factory=list[Report])


@dataclass(frozen=True)
class Failure:
    """A phase that failed, the words for it, and what was printed before."""

    phase: Phase | None
    message: str
    output: str


def buildspec_of(buildspec: str, source: Path) -> Buildspec:
    """The buildspec that is written inline or in a file of the source.

    Raises:
        ActionFailed: There is no such file, or it is no buildspec.
    """
    try:
        if "\n" in buildspec:
            return load_buildspec(buildspec, "<buildspec>")
        path = (source / buildspec).resolve()
        if not path.is_relative_to(source.resolve()):
            raise ActionFailed(f"buildspec '{buildspec}' leads out of the source")
        if not path.is_file():
            raise ActionFailed(
                f"the source has no buildspec '{buildspec}'",
                hint="set 'buildspec' to its path, or write it there",
            )
        return load_buildspec(text_of(path), buildspec)
    except DefinitionError as error:
        raise ActionFailed(f"the buildspec is wrong:\n{error}") from error


def require_runnable(spec: Buildspec, image: str | None) -> None:
    """See that the build can be made here.

    Raises:
        ActionFailed: It needs Windows, or has nothing to do.
    """
    if spec.env.shell not in {"sh", "bash"}:
        raise ActionFailed(
            f"shell '{spec.env.shell}' needs Windows, which is not supported",
            hint="set 'env/shell' to bash or sh",
        )
    if any(phase.steps for phase in spec.phases):
        raise ActionFailed(
            "the buildspec has 'steps', which run actions of GitHub: not supported",
            hint="write them as 'commands'",
        )
    if not spec.phases:
        hint = "set 'batch: true'" if spec.batch else None
        raise ActionFailed("the buildspec has no phases", hint=hint)
