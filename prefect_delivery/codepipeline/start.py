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


def our_triggers(pipeline: Data, sources: list[Data]) -> Data:
    """The `on:` that triggers or change detection stand for.

    A filter of branches and one of tags can be said; others stay in the declaration.

    Args:
        sources: Our form of the source actions.
    """
    if not pipeline.get("triggers"):
        return detected(sources)
    git = pipeline["triggers"][0]["gitConfiguration"]
    on: Data = {}
    if push := git.get("push"):
        on["push"] = {
            key: patterns
            for filters in _said(push)
            for key, patterns in _our_filter(filters).items()
        }
    if pulls := git.get("pullRequest"):
        events = pulls[0].get("events")
        found = {"events": [_EVENTS[each] for each in events] if events else _ANY_EVENT}
        on["pull_request"] = {**_our_filter(pulls[0]), **found}
    return on or {"push": {}}


def unsaid_filters(pipeline: Data) -> int:
    """How many filters `our_triggers` leaves out."""
    triggers = [each["gitConfiguration"] for each in pipeline.get("triggers", [])]
    count = sum(
        len(git.get(kind, [])) for git in triggers for kind in ("push", "pullRequest")
    )
    said = sum(
        len(_said(git.get("push", []))) + len(git.get("pullRequest", [])[:1])
        for git in triggers[:1]
    )
    return count - said


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
    if push := on.get("push"):
        found = _their_filter(push)
        tags = {"tags": found.pop("tags")} if "tags" in found else {}
        git["push"] = [part for part in (found, tags) if part]
        if not git["push"]:
            del git["push"]
    if "pull_request" in on:
        events = on["pull_request"].get("events", ["opened", "updated"])
        back = {ours: theirs for theirs, ours in _EVENTS.items()}
        chosen = {"events": [back[each] for each in events]}
        if sorted(events) == sorted(_ANY_EVENT):
            chosen = {}
        git["pullRequest"] = [{**chosen, **_their_filter(on["pull_request"])}]
    return [{"providerType": "CodeStarSourceConnection", "gitConfiguration": git}]


def _said(push: list[Data]) -> list[Data]:
    """The filters that one of ours can say: one of branches, one of tags."""
    with_tags = [filters for filters in push if "tags" in filters][:1]
    others = [filters for filters in push if "tags" not in filters][:1]
    return [each for each in push if each in [*with_tags, *others]][:2]


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
