"""What every environment has in common: checks, hooks, a strategy and a few verbs."""

import importlib
import inspect
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.filesystems import LocalFileSystem
from prefect.settings import get_current_settings
from pydantic import ConfigDict, Field, PositiveInt, ValidationError

from prefect_delivery.blocks.checks import HttpCheck
from prefect_delivery.blocks.hooks import Hooks
from prefect_delivery.definition.catalogue import (
    ENVIRONMENTS_GROUP,
    Catalogue,
    installed,
)
from prefect_delivery.engine.policies import Gates, Group
from prefect_delivery.errors import Refused
from prefect_delivery.ledger import Release
from prefect_delivery.rollout import HookTime, Strategy

__all__ = [
    "Environment",
    "Gates",
    "Group",
    "Hooks",
    "HttpCheck",
    "find_environment",
]


class Environment(Block):
    """A target that runs one release at a time.

    The verbs are those of `rollout.Target`. A new kind implements them and calls itself
    `_block_type_slug = "delivery-<kind>-environment"`.
    """

    model_config = ConfigDict(extra="forbid")

    _logo_url: ClassVar[Any] = LocalFileSystem._logo_url

    checks: list[HttpCheck] = Field(
        default_factory=list,
        description="What a release must answer before and while it gets traffic.",
    )
    hooks: Hooks = Field(
        default_factory=Hooks, description="Commands around a rollout."
    )
    strategy: Strategy | None = Field(
        default=None,
        description="all-at-once, blue-green, a canary or linear steps; blue-green"
        " where the traffic can be split.",
    )
    bake: float = Field(
        default=0,
        ge=0,
        le=1440,
        description="Minutes of checks under full traffic before a release is kept.",
    )
    cool_down: float = Field(
        default=5,
        ge=0,
        le=1440,
        description="Minutes after a rollback that nobody asked for in which only people"
        " deploy here.",
    )
    keep: PositiveInt = Field(
        default=5, description="Earlier releases kept for rollback."
    )
    url: str | None = Field(
        default=None, description="Where people reach it, for checks and links."
    )
    gates: Gates = Field(
        default_factory=Gates,
        description="Who must approve what is deployed here, and where it may come"
        " from.",
    )

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The schema of the form in the UI: what a kind adds comes first."""
        schema: dict[str, Any] = super().model_json_schema(*args, **kwargs)
        depth = {
            name: depth
            for depth, base in reversed([*enumerate(cls.__mro__)])
            for name in inspect.get_annotations(base)
        }
        properties = schema.get("properties", {})
        for position, name in enumerate(sorted(properties, key=lambda n: depth[n])):
            properties[name]["position"] = position
        return schema

    @property
    def kind(self) -> str:
        """What `kind:` says in a pipeline definition."""
        slug = type(self)._block_type_slug or ""
        return slug.removeprefix("delivery-").removesuffix("-environment")

    @property
    def name(self) -> str:
        """Under which the ledger knows it: the block's name, or what it stands for."""
        return self._block_document_name or self.identity

    @property
    def identity(self) -> str:
        """What tells the target from others of its kind, whatever else is configured."""
        return self.kind

    @property
    def chosen_strategy(self) -> Strategy:
        """The strategy that was set, or the best that this environment can do."""
        return self.strategy or ("blue-green" if self.has_traffic else "all-at-once")

    @property
    def has_traffic(self) -> bool:
        """Whether `shift` can give a release a part of the traffic."""
        return False

    @property
    def address(self) -> str | None:
        """Where people reach the environment, if that is known."""
        return self.url

    def address_of(self, release: Release) -> str | None:
        """Where this very release answers, whatever the traffic; None for nowhere."""
        return None

    def folder_of(self, release: Release) -> Path | None:
        """Folder of the release on this machine; hooks run in it."""
        return None

    def configuration(self) -> dict[str, Any]:
        """What `find_environment` makes this environment of again, without secrets."""
        fields = self.model_dump(
            mode="json", include=set(type(self).model_fields), exclude_defaults=True
        )
        return {"kind": self.kind, **fields}

    @abstractmethod
    def observe(self) -> str | None:
        """Digest of the release that fully serves; None when none does."""

    @abstractmethod
    def prepare(self, release: Release, fence: int) -> None:
        """Bring the release to the target and have it ready, without traffic."""

    @abstractmethod
    def shift(self, release: Release, percent: float, fence: int) -> None:
        """Give the release this share of the traffic, the others the rest."""

    @abstractmethod
    def commit(self, release: Release, fence: int) -> None:
        """Make the release, which has all traffic, the current one; stop the others."""

    @abstractmethod
    def discard(self, release: Release, fence: int) -> None:
        """Take the release off the target."""

    def verify(self, release: Release, percent: float) -> None:
        """Run the checks against the release itself and, once it has a share of the
        traffic, where people reach it.

        Args:
            percent: The release's share of the traffic.

        Raises:
            ActionFailed: A check failed.
        """
        itself = self.address_of(release)
        public = self.address if percent else None
        for check in self.checks:
            for url in check.targets(itself, public, whole=percent > 0):
                check.run(url)

    @property
    def can_shut_down(self) -> bool:
        """Whether something runs that `shut_down` can stop; most kinds cannot tell."""
        return False

    def shut_down(self, fence: int) -> None:
        """Stop all that runs; the next rollout starts what it needs again."""
        raise NotImplementedError

    def heed(self, release: Release, stopped: threading.Event) -> None:
        """End what takes long early once somebody stops the release's rollout.

        Only for kinds whose single verbs take minutes; between verbs it is heeded anyway.
        """

    def run_hooks(
        self,
        when: HookTime,
        release: Release,
        *,
        environment: str,
        log: Callable[[str], None],
        cancelled: threading.Event | None = None,
    ) -> None:
        """Run the commands that are set for this moment.

        Raises:
            ActionFailed: A command failed, hung or was cancelled; names it.
        """
        self.hooks.run(
            when,
            folder=self.folder_of(release),
            facts={
                "RELEASE": release.digest,
                "ENVIRONMENT": environment,
                "URL": self.address or "",
            },
            variables=release.variables,
            log=log,
            cancelled=cancelled,
        )


def find_environment(
    name: str, inline: Mapping[str, Mapping[str, Any]] = {}
) -> Environment:
    """The environment of that name: a saved block, or what a definition says.

    A saved block wins, so that nobody changes a target by editing a file. Prefect is
    asked only where an API is configured.

    Args:
        inline: Configurations by name, each with its `kind`.

    Raises:
        Refused: There is none of that name, its configuration is wrong, or Prefect
            cannot be asked.
    """
    if saved := _saved(name):
        return saved
    if name not in inline:
        raise Refused(
            f"there is no environment '{name}'",
            hint="write it under 'environments:', or save a block of that name",
        )
    configuration = dict(inline[name])
    kind = _class_of(str(configuration.pop("kind", "")), name)
    try:
        return kind.model_validate(configuration)
    except ValidationError as error:
        raise Refused(f"environment '{name}': {_first_problem(error)}") from error


def ledger_name(environment: Environment, name: str, pipeline: str) -> str:
    """Under which name the ledger keeps an environment that was found as `name`.

    One that a definition describes belongs to its pipeline: `production` of two
    pipelines are two targets. A saved block is the same for all.
    """
    saved = environment._block_document_name is not None
    return name if saved or not pipeline else f"{pipeline}/{name}"


def _saved(name: str) -> Environment | None:
    if not get_current_settings().api.url:
        return None
    kinds = {_slug_of(kind): kind for kind in Catalogue.load().environment_kinds()}
    with get_client(sync_client=True) as client:
        try:
            # One question for all kinds, which Prefect's client has no method for.
            found = client.request(
                "POST",
                "/block_documents/filter",
                json={
                    "block_documents": {"name": {"any_": [name]}},
                    "block_types": {"slug": {"any_": list(kinds)}},
                    "include_secrets": True,
                },
            )
            found.raise_for_status()
        except httpx.HTTPError as error:
            raise Refused(
                f"Prefect cannot be asked for environment '{name}': {error!r}",
                hint="start the server, or unset PREFECT_API_URL",
            ) from error
    documents = {
        kinds[document["block_type"]["slug"]]: document for document in found.json()
    }
    if not documents:
        return None
    kind = min(documents)
    document = BlockDocument.model_validate(documents[kind])
    return _class_of(kind, name)._from_block_document(document)


def _class_of(kind: str, environment: str) -> type[Environment]:
    if point := installed(ENVIRONMENTS_GROUP).get(kind):
        found: type[Environment] = point.load()
        return found
    if kind in Catalogue.load().environments:
        name = kind.replace("-", "_")
        module = importlib.import_module(f"prefect_delivery.blocks.{name}")
        for value in vars(module).values():
            if _is_environment(value) and value._block_type_slug == _slug_of(kind):
                return value
    known = ", ".join(Catalogue.load().environment_kinds())
    raise Refused(
        f"environment '{environment}' is of unknown kind '{kind}'",
        hint=f"kinds that are installed: {known}",
    )


def _is_environment(value: object) -> TypeGuard[type[Environment]]:
    return isinstance(value, type) and issubclass(value, Environment)


def _slug_of(kind: str) -> str:
    return f"delivery-{kind}-environment"


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
