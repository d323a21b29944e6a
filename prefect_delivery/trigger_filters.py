"""Whether a pipeline's triggers want a change. Decides on what is known, asks nobody.

Source: CodePipeline user guide, "Filter triggers on code push or pull requests".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_delivery.changes import OBJECT, Change
from prefect_delivery.definition.globs import matches_any
from prefect_delivery.definition.models import (
    Action,
    Filter,
    Pipeline,
    PullRequestFilter,
)
from prefect_delivery.definition.variables import resolve
from prefect_delivery.registry import watched_of
from prefect_delivery.repositories import identity_of, place_of


@dataclass(frozen=True, kw_only=True)
class WatchedSource:
    """A source action that changes are known of.

    Those of git are known here; any other says itself how it is watched.

    Attributes:
        address: The same for the same source, however it is named.
        named: An address from which a `Change` finds this one.
        with_: The action's configuration, its variables filled in.
    """

    name: str
    uses: str
    address: str
    named: str
    with_: dict[str, Any]

    @property
    def branch(self) -> str | None:
        return self.with_.get("branch") or self.with_.get("branch_name")

    def may_be(self, address: str) -> bool:
        """Whether who tells of a repository may mean this one.

        AWS does not tell what host a connection leads to: owner and name decide, and
        the connection is asked whether it is so.
        """
        if self.uses != "source/connection":
            return self.address == address
        own = self.with_.get("full_repository_id")
        return self.address == address or address.partition("/")[2] == own


def sources_of(definition: Pipeline) -> Iterator[WatchedSource]:
    """The sources that may be watched."""
    for stage in definition.stages.values():
        for name, action in stage.actions.items():
            found = configuration_of(definition, action)
            if found is None or (named := _address(action.uses, found)) is None:
                continue
            git = action.uses in {"source/git", "source/github"}
            yield WatchedSource(
                name=name,
                uses=action.uses,
                address=identity_of(named) if git else named,
                named=named,
                with_=found,
            )


def watched_sources(definition: Pipeline) -> Iterator[WatchedSource]:
    """The sources that start a pipeline."""
    if definition.on.push is not None:
        yield from sources_of(definition)


def _address(uses: str, found: dict[str, Any]) -> str | None:
    match uses:
        case "source/git":
            return found.get("url")
        case "source/github":
            server = found.get("server", "https://github.com").rstrip("/")
            return f"{server}/{found.get('owner')}/{found.get('repo')}"
        case "source/connection":
            return f"{found.get('connection_arn')}/{found.get('full_repository_id')}"
        case "source/codecommit":
            return f"codecommit://{place_of(found)}/{found.get('repository_name')}"
    if not uses.startswith("source/"):
        return None
    watched = watched_of(uses)
    return watched.address(found) if watched else None


def configuration_of(definition: Pipeline, action: Action) -> dict[str, Any] | None:
    """A source's configuration; None where it needs variables that have no default."""

    def default(namespace: str, name: str) -> str:
        value = definition.variables[name].default if namespace == "variables" else None
        if value is None:
            raise KeyError(name)
        return value

    try:
        found: dict[str, Any] = resolve(action.with_, default)
    except KeyError:
        return None
    return found


def sources_for(definition: Pipeline, change: Change) -> dict[str, WatchedSource]:
    """The sources that a change of their repository is meant for, by name.

    Of several on one repository, those of the branch that changed; where none is of that
    branch, all: what triggers say does not depend on a source's branch.
    """
    there = {
        each.name: each
        for each in sources_of(definition)
        if each.address == change.source
    }
    exact = {n: each for n, each in there.items() if each.branch == change.branch}
    return exact or there


def filters_for(definition: Pipeline, change: Change) -> Sequence[Filter]:
    """The filters for this kind of change; none where a pipeline does not ask for it."""
    if change.kind == "push":
        return definition.on.push or ()
    return definition.on.pull_request or ()


def why_not_ref(definition: Pipeline, change: Change, chosen: Filter) -> str | None:
    """Why a filter does not want a branch, tag or pull request; None when it does."""
    if isinstance(chosen, PullRequestFilter):
        if (change.event or "updated") not in chosen.events:
            return f"pull requests that are {change.event} start it not"
        if change.fork and not chosen.forks:
            return "it comes from a fork, and forks are not allowed"
        return _why_not_branch(chosen, change)
    if change.deleted:
        return f"{change.ref} was deleted"
    if change.ref == OBJECT:
        return None
    if change.tag is not None:
        return _why_not_tag(chosen, change.tag)
    return _why_not_branch(_with_default(chosen, definition, change), change)


def why_not_files(chosen: Filter, files: Iterable[str]) -> str | None:
    """Why no changed file is wanted; None when one is. Each is judged alone."""
    named = chosen.paths, chosen.paths_ignore
    if any(_passes(file, *named) for file in files):
        return None
    return "no changed file passes the filter of paths"


def asks_for_files(chosen: Filter) -> bool:
    """Whether a filter depends on what files have changed."""
    return bool(chosen.paths or chosen.paths_ignore)


def _why_not_tag(chosen: Filter, tag: str) -> str | None:
    if not (chosen.tags or chosen.tags_ignore):
        return "tags start it not"
    if _passes(tag, chosen.tags, chosen.tags_ignore):
        return None
    return f"tag '{tag}' does not pass the filter"


def _why_not_branch(chosen: Filter, change: Change) -> str | None:
    branch = change.branch
    if branch is None:
        return f"{change.ref} is neither a branch nor a tag"
    if _passes(branch, chosen.branches, chosen.branches_ignore):
        return None
    return f"branch '{branch}' does not pass the filter"


def _with_default(chosen: Filter, definition: Pipeline, change: Change) -> Filter:
    """A filter that names no branch means those that the sources bring."""
    if chosen.branches or chosen.branches_ignore:
        return chosen
    if chosen.tags or chosen.tags_ignore:
        return chosen.model_copy(update={"branches_ignore": ["**"]})
    sources = sources_for(definition, change).values()
    own = [source.branch for source in sources if source.branch]
    if len(own) < len(sources):
        return chosen
    # A branch is named literally, whatever its name means as a pattern.
    literal = [
        "".join(f"\\{char}" if char in "*?[]{}\\," else char for char in name)
        for name in own
    ]
    return chosen.model_copy(update={"branches": literal})


def _passes(name: str, includes: list[str], excludes: list[str]) -> bool:
    """Excludes win over includes; without includes, all are included."""
    if matches_any(name, excludes):
        return False
    return not includes or matches_any(name, includes)
