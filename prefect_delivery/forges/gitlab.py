"""Webhooks of GitLab.

Source: GitLab docs, "Webhooks" and "Webhook events" (push, tag, merge request).
"""

import hmac
from collections.abc import Sequence

from prefect_delivery.changes import BRANCH, TAG, Change, PullRequestEvent
from prefect_delivery.forges.forge import (
    Branch,
    Commit,
    Forge,
    Headers,
    Name,
    Number,
    Payload,
    Ref,
    Url,
    commit_or_none,
)


class _Project(Payload):
    git_http_url: Url


class _Push(Payload):
    ref: Ref
    before: Commit
    after: Commit
    checkout_sha: Commit | None = None
    project: _Project
    user_username: Name = ""


class _Commit(Payload):
    id: Commit


class _Attributes(Payload):
    iid: Number
    action: Name = ""
    oldrev: Commit | None = None
    last_commit: _Commit
    source_project_id: int
    target_project_id: int
    target_branch: Branch


class _User(Payload):
    username: Name = ""


class _Request(Payload):
    object_attributes: _Attributes
    project: _Project
    user: _User = _User()


class GitLab(Forge):
    """GitLab, hosted or one's own."""

    def is_genuine(self, headers: Headers, body: bytes, keys: Sequence[bytes]) -> bool:
        # GitLab sends the secret itself, so use TLS.
        given = headers.get("x-gitlab-token", "").encode()
        fits = False
        for key in keys:
            fits |= hmac.compare_digest(key, given)
        return fits

    def delivery(self, headers: Headers) -> str:
        return headers.get("idempotency-key") or headers.get("x-gitlab-event-uuid", "")

    def read(self, headers: Headers, body: bytes) -> list[Change]:
        match headers.get("x-gitlab-event"):
            case "Push Hook" | "Tag Push Hook":
                return _push(_Push.model_validate_json(body))
            case "Merge Request Hook":
                return _request(_Request.model_validate_json(body))
            case _:
                return []


def _push(push: _Push) -> list[Change]:
    if not push.ref.startswith((BRANCH, TAG)):
        return []
    before, after = commit_or_none(push.before), commit_or_none(push.after)
    # Of an annotated tag, `after` is the tag itself.
    revision = push.checkout_sha or after or before
    if revision is None:
        return []
    return [
        Change(
            kind="push",
            repository=push.project.git_http_url,
            ref=push.ref,
            revision=revision,
            before=before,
            deleted=after is None,
            by=push.user_username,
        )
    ]


def _request(request: _Request) -> list[Change]:
    attributes = request.object_attributes
    event: PullRequestEvent
    match attributes.action:
        case "open" | "reopen":
            event = "opened"
        case "update" if attributes.oldrev:  # else only its title or the like
            event = "updated"
        case "close" | "merge":
            event = "closed"
        case _:
            return []
    return [
        Change(
            kind="pull_request",
            repository=request.project.git_http_url,
            ref=f"refs/merge-requests/{attributes.iid}/head",
            revision=attributes.last_commit.id,
            event=event,
            into=attributes.target_branch,
            fork=attributes.source_project_id != attributes.target_project_id,
            by=request.user.username,
        )
    ]
