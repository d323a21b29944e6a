"""Whether a pipeline's triggers want a change. Decides on what is known, asks nobody.

Source: CodePipeline user guide, "Filter triggers on code push or pull requests".
"""

from collections.abc import Iterable, Iterator
from typing import Any

from prefect_delivery.changes import OBJECT, Change
from prefect_delivery.definition.globs import matches_any
from prefect_delivery.definition.models import Action, Filter, Pipeline
from prefect_delivery.definition.variables import resolve
from prefect_delivery.repositories import identity_of


def sources_of(
    definition: Pipeline,
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Name, address, kind and configuration of each source that may be watched."""
    for stage in definition.stages.values():
        for name, action in stage.actions.items():
            found = configuration_of(definition, action)
            if found is not None and (address := _address(action.uses, found)):
                yield name, address, action.uses, found


def watched_sources(
    definition: Pipeline,
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Address, kind and configuration of the sources that start a pipeline."""
    if definition.on.push is not None:
        for _, address, uses, found in sources_of(definition):
            yield address, uses, found


def _address(uses: str, configuration: dict[str, Any]) -> str | None:
    match uses:
        case "source/git" if url := configuration.get("url"):
            return identity_of(url)
        case "source/s3":
            found = configuration
            return f"s3://{found.get('s3_bucket')}/{found.get('s3_object_key')}"
        case "source/ecr":
            tag = configuration.get("image_tag", "latest")
            account = configuration.get("role_arn") or configuration.get("credentials")
            region = configuration.get("region")
            place = ".".join(str(part) for part in (account, region) if part)
            return f"ecr://{place}/{configuration.get('repository_name')}:{tag}"
        case _:
            return None


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


def sources_for(definition: Pipeline, change: Change) -> dict[str, dict[str, Any]]:
    """The sources that a change of their repository is meant for, by name.

    Of several on one repository, those of the branch that changed; where none is of that
    branch, all: what triggers say does not depend on a source's branch.
    """
    there = {
        name: found
        for name, address, _, found in sources_of(definition)
        if address == change.source
    }
    exact = {n: f for n, f in there.items() if f.get("branch") == change.branch}
    return exact or there


def filter_for(definition: Pipeline, change: Change) -> Filter | None:
    """The filter for this kind of change; None when a pipeline does not ask for it."""
    if change.kind == "push":
        return definition.on.push
    return definition.on.pull_request


def why_not_ref(definition: Pipeline, change: Change) -> str | None:
    """Why a filter does not want a branch, tag or pull request; None when it does."""
    if change.kind == "push":
        chosen = definition.on.push or Filter()
        if change.deleted:
            return f"{change.ref} was deleted"
        if change.ref == OBJECT:
            return None
        if change.tag is not None:
            return _why_not_tag(chosen, change.tag)
        return _why_not_branch(_with_default(chosen, definition, change), change)
    pulls = definition.on.pull_request
    if pulls is None:
        return "pull requests start it not"
    if (change.event or "updated") not in pulls.events:
        return f"pull requests that are {change.event} start it not"
    if change.fork and not pulls.forks:
        return "it comes from a fork, and forks are not allowed"
    return _why_not_branch(pulls, change)


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
    own = [str(source["branch"]) for source in sources if source.get("branch")]
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
