"""How each forge is told what became of a commit.

Sources: GitHub REST API, "Commit statuses" and "Check runs"; GitLab REST API, "Commits"
(set the pipeline status of a commit); Bitbucket Cloud REST API, "Commit statuses"; Gitea
API, `repoCreateStatus`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

State = Literal["pending", "success", "failure", "stopped"]

APIS = {
    "github": "https://api.github.com",
    "gitlab": "https://gitlab.com/api/v4",
    "bitbucket": "https://api.bitbucket.org/2.0",
}
"""The usual addresses; a Gitea has none."""
DESCRIPTION = 140
"""Characters, as GitHub takes them."""
TEXT = 60_000
"""Characters of a page, of the 65,535 that GitHub takes."""
ANNOTATIONS = 50
"""That GitHub takes at once."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a forge shows of a whole execution, where it shows pages.

    Attributes:
        summary: Markdown.
        annotations: Failed tests, each with `path`, `line` and `message`.
    """

    title: str
    summary: str
    annotations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Status:
    """What became of a commit, in one stage or as a whole.

    Attributes:
        repository: Its path at the forge, such as `ann/shop`.
        context: What tells it from others of the same commit.
        link: Where to read more.
    """

    repository: str
    commit: str
    context: str
    state: State
    description: str
    link: str | None = None
    page: Page | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that tells a forge, all by POST."""

    path: str
    body: dict[str, Any]


def _github(status: Status) -> Call:
    state = "error" if status.state == "stopped" else status.state
    return Call(
        path=f"/repos/{quote(status.repository)}/statuses/{status.commit}",
        body={
            "state": state,
            "context": status.context,
            "description": status.description[:DESCRIPTION],
            **({"target_url": status.link} if status.link else {}),
        },
    )


def check_run(status: Status, page: Page) -> Call:
    """What GitHub takes from an App alone: a page with annotations."""
    conclusions = {"success": "success", "failure": "failure", "stopped": "cancelled"}
    conclusion = conclusions.get(status.state)
    annotations = [
        {
            "path": one["path"],
            "start_line": one["line"],
            "end_line": one["line"],
            "annotation_level": "failure",
            "message": one["message"],
        }
        for one in page.annotations[:ANNOTATIONS]
    ]
    ended = {"status": "completed", "conclusion": conclusion}
    return Call(
        path=f"/repos/{quote(status.repository)}/check-runs",
        body={
            "name": status.context,
            "head_sha": status.commit,
            **(ended if conclusion else {"status": "in_progress"}),
            **({"details_url": status.link} if status.link else {}),
            "output": {
                "title": page.title,
                "summary": page.summary[:TEXT],
                "annotations": annotations,
            },
        },
    )


def _gitlab(status: Status) -> Call:
    states = {"pending": "running", "failure": "failed", "stopped": "canceled"}
    return Call(
        path=f"/projects/{quote(status.repository, safe='')}/statuses/{status.commit}",
        body={
            "state": states.get(status.state, status.state),
            "name": status.context,
            "description": status.description[:DESCRIPTION],
            **({"target_url": status.link} if status.link else {}),
        },
    )


def _bitbucket(status: Status) -> Call:
    states = {
        "pending": "INPROGRESS",
        "success": "SUCCESSFUL",
        "failure": "FAILED",
        "stopped": "STOPPED",
    }
    # A key has at most 40 characters, and an address is required.
    key = hashlib.sha256(status.context.encode()).hexdigest()[:40]
    link = status.link or f"https://bitbucket.org/{quote(status.repository)}"
    return Call(
        path=(
            f"/repositories/{quote(status.repository)}"
            f"/commit/{status.commit}/statuses/build"
        ),
        body={
            "key": key,
            "state": states[status.state],
            "name": status.context,
            "description": status.description[:DESCRIPTION],
            "url": link,
        },
    )


CALLS: dict[str, Callable[[Status], Call]] = {
    "github": _github,
    "gitlab": _gitlab,
    "bitbucket": _bitbucket,
    "gitea": _github,  # whose form it shares
}
