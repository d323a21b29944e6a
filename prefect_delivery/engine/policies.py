"""Who must approve: what approvals and environments ask for."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from prefect_delivery.engine.people import is_meant, key_of

ANYBODY: Final = "anybody"
ANONYMOUS: Final = "anonymous"
"""Whoever answers on the form of a suspended run: Prefect does not say who it was."""

Person = Annotated[
    str, Field(min_length=1, json_schema_extra={"x-no-variables": "person"})
]
"""A login or an e-mail address. `#{...}` is refused: no output decides who decides."""


class Group(BaseModel):
    """People of whom some must approve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: list[Person] = Field(
        min_length=1, description="Logins or e-mail addresses."
    )
    count: PositiveInt = Field(default=1, description="How many of them must approve.")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        _check_count(self.people, self.count)
        return self


class Approvers(BaseModel):
    """Who must approve; nothing said means that any one person may."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approvers: list[Person] = Field(
        default_factory=list,
        description="Logins or e-mail addresses of those who may approve.",
    )
    count: PositiveInt = Field(
        default=1, description="How many of the approvers must approve."
    )
    groups: dict[str, Group] = Field(
        default_factory=dict, description="Groups, each of which must approve."
    )
    forbid_author: bool | None = Field(
        default=None,
        description="Nobody approves what they wrote or started. By default so where"
        " approvers, a count or groups are given.",
    )
    anonymous: bool = Field(
        default=False,
        description="Whether answers in Prefect's UI count, where nobody knows whose"
        " they are. Of an environment's approvals the environment decides this.",
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.approvers:
            _check_count(self.approvers, self.count)
        return self

    @property
    def needed(self) -> dict[str, "Needed"]:
        """What is needed of each group; nothing where nobody was named."""
        found = {
            name: Needed(people=tuple(group.people), count=group.count)
            for name, group in self.groups.items()
        }
        if self.approvers:
            found["approvers"] = Needed(people=tuple(self.approvers), count=self.count)
        elif self.count > 1:
            found[ANYBODY] = Needed(people=None, count=self.count)
        return found

    @property
    def forbids_author(self) -> bool:
        if self.forbid_author is None:
            return bool(self.needed)
        return self.forbid_author


class Gates(Approvers):
    """What must hold before anything is deployed to an environment.

    They belong to the environment, so that editing a pipeline cannot remove them.
    """

    pipelines: list[str] = Field(
        default_factory=list,
        description="Names or patterns of the pipelines that may deploy here.",
    )
    branches: list[str] = Field(
        default_factory=list,
        description="Names or patterns of the branches that every source must be on.",
    )

    def admits(self, pipeline: str) -> bool:
        """Whether executions of that pipeline may deploy here."""
        return not self.pipelines or matches(pipeline, self.pipelines)


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How many of whom must approve; of anybody where `people` is None."""

    people: tuple[str, ...] | None
    count: int

    def has(self, person: str) -> bool:
        return self.people is None or any(is_meant(person, e) for e in self.people)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What an approval takes: of each group, so many people."""

    groups: dict[str, Needed]
    forbid_author: bool
    anonymous: bool = False

    def groups_of(self, person: str) -> tuple[str, ...]:
        """The groups that a person counts for."""
        return tuple(name for name, group in self.groups.items() if group.has(person))


def policy_of(
    own: Approvers, gates: Approvers | None = None, environment: str | None = None
) -> Policy:
    """The rules of an approval together with those of the environment it is for."""
    theirs = gates or Approvers()
    groups = own.needed | {
        f"{environment}: {name}": group for name, group in theirs.needed.items()
    }
    return Policy(
        groups=groups or {ANYBODY: Needed(people=None, count=1)},
        forbid_author=own.forbids_author or theirs.forbids_author,
        anonymous=theirs.anonymous if environment else own.anonymous,
    )


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of `patterns`, such as `main` or `release/*`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _check_count(people: list[str], count: int) -> None:
    there = len({key_of(person) for person in people})
    if count > there:
        raise ValueError(f"count is {count}, but only {there} may approve")
