"""What starts a pipeline: triggers and change detection, there and here."""

from collections.abc import Iterable
from typing import Any

Data = dict[str, Any]

_FILTERS = {"branches": "branches", "tags": "tags", "filePaths": "paths"}
_EVENTS = {"OPEN": "opened", "UPDATED": "updated", "CLOSED": "closed"}
_BRANCH_KEYS = {
    "source/connection": "branch_name",
    "source/codecommit": "branch_name",
    "source/github": "branch",
}
_ANY_EVENT = ["opened", "updated", "closed"]
_TAGS = ("tags", "tags_ignore")
_PATHS = ("paths", "paths_ignore")


def our_triggers(pipeline: Data, sources: list[Data]) -> Data:
    """The `on:` that triggers or change detection stand for.

    Filters of a second source stay in the declaration.

    Args:
        sources: Our form of the source actions.
    """
    if not pipeline.get("triggers"):
        return detected(sources)
    git = pipeline["triggers"][0]["gitConfiguration"]
    on: Data = {}
    if push := git.get("push"):
        on["push"] = _alone([_our_filter(each) for each in push])
    if pulls := git.get("pullRequest"):
        on["pull_request"] = _alone([_our_pulls(each) for each in pulls])
    return on or {"push": {}}


def unsaid_filters(pipeline: Data) -> int:
    """How many filters `our_triggers` leaves out."""
    further = [each["gitConfiguration"] for each in pipeline.get("triggers", [])[1:]]
    return sum(
        len(git.get(kind, [])) for git in further for kind in ("push", "pullRequest")
    )


def parted(on: Data) -> Data:
    """Our `on:`, with filters of branches and tags as two: CodePipeline has no both."""
    if "push" not in on:
        return on
    parts = []
    for filters in _several(on["push"]):
        tags = {key: filters[key] for key in _TAGS if filters.get(key)}
        rest = {key: each for key, each in filters.items() if key not in tags}
        # With paths, a tag counts only where files have changed: that cannot be parted.
        both = tags and any(rest.values()) and not any(map(rest.get, _PATHS))
        parts += [rest, tags] if both else [filters]
    return {**on, "push": _alone(parts)}


def detected(sources: Iterable[Data]) -> Data:
    """The `on:` of sources that look for changes themselves."""
    branches = [
        branch
        for source in sources
        if (branch := _watched(source)) and "#{" not in branch
    ]
    return {"push": {"branches": list(dict.fromkeys(branches))}} if branches else {}


def their_triggers(on: Data, sources: dict[str, Data]) -> list[Data]:
    """The triggers that say what our `on:` says, as far as they can.

    Args:
        sources: Our form of the source actions by name.
    """
    on = {key: on[key] for key in ("push", "pull_request") if key in on}
    if not on or on == detected(sources.values()):
        return []
    name = next(
        (n for n, each in sources.items() if each["uses"] == "source/connection"), None
    )
    if name is None:
        return []
    git: Data = {"sourceActionName": name}
    on = parted(on)
    push = [_their_filter(each) for each in _several(on.get("push", {}))]
    if any(push):
        git["push"] = [each for each in push if each]
    if "pull_request" in on:
        git["pullRequest"] = [
            _their_pulls(each) for each in _several(on["pull_request"])
        ]
    return [{"providerType": "CodeStarSourceConnection", "gitConfiguration": git}]


def _several(filters: Data | list[Data]) -> list[Data]:
    return filters if isinstance(filters, list) else [filters]


def _alone(filters: list[Data]) -> Data | list[Data]:
    return filters[0] if len(filters) == 1 else filters


def _watched(source: Data) -> str | None:
    key = _BRANCH_KEYS.get(source["uses"])
    configuration = source.get("with", {})
    flag = (
        "detect_changes"
        if source["uses"] == "source/connection"
        else "poll_for_source_changes"
    )
    if key is None or str(configuration.get(flag, "true")).lower() == "false":
        return None
    branch = configuration.get(key)
    return branch if isinstance(branch, str) and len(branch) <= 255 else None


def _our_filter(filters: Data) -> Data:
    found: Data = {}
    for theirs, name in _FILTERS.items():
        criteria = filters.get(theirs, {})
        if "includes" in criteria:
            found[name] = criteria["includes"]
        if "excludes" in criteria:
            found[f"{name}_ignore"] = criteria["excludes"]
    return found


def _our_pulls(filters: Data) -> Data:
    events = filters.get("events")
    found = [_EVENTS[each] for each in events] if events else _ANY_EVENT
    return {**_our_filter(filters), "events": found}


def _their_pulls(filters: Data) -> Data:
    events = filters.get("events", ["opened", "updated"])
    back = {ours: theirs for theirs, ours in _EVENTS.items()}
    chosen = {"events": [back[each] for each in events]}
    if sorted(events) == sorted(_ANY_EVENT):
        chosen = {}
    return {**chosen, **_their_filter(filters)}


def _their_filter(filters: Data) -> Data:
    found: Data = {}
    for theirs, name in _FILTERS.items():
        criteria = {}
        if filters.get(name):
            criteria["includes"] = filters[name]
        if filters.get(f"{name}_ignore"):
            criteria["excludes"] = filters[f"{name}_ignore"]
        if criteria:
            found[theirs] = criteria
    return found
