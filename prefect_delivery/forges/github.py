"""Webhooks of GitHub.

Source: GitHub docs, "Webhook events and payloads" (push, pull_request) and "Validating
webhook deliveries".
"""

from collections.abc import Sequence
from typing import ClassVar

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
    has_signature,
)


class _Repository(Payload):
    clone_url: Url


class _Person(Payload):
    login: Name = ""


class _Pushed(Payload):
    id: Commit


class _Push(Payload):
    ref: Ref
    before: Commit
    after: Commit
    head_commit: _Pushed | None = None
    repository: _Repository
    sender: _Person = _Person()


class _Owned(Payload):
    id: int


class _Head(Payload):
    sha: Commit
    repo: _Owned | None = None


class _Base(Payload):
    ref: Branch
    repo: _Owned


class _Heads(Payload):
    head: _Head
    base: _Base


class _Pull(Payload):
    action: Name
    number: Number
    pull_request: _Heads
    repository: _Repository
    sender: _Person = _Person()


class GitHub(Forge):
    """GitHub, also GitHub Enterprise Server."""

    event = "x-github-event"
    events: ClassVar[dict[str, PullRequestEvent]] = {
        "opened": "opened",
        "reopened": "opened",
        "synchronize": "updated",
        "closed": "closed",
    }

    def is_genuine(self, headers: Headers, body: bytes, keys: Sequence[bytes]) -> bool:
        # Also sent, and not looked at: a signature by SHA-1.
        scheme, _, given = headers.get("x-hub-signature-256", "").partition("=")
        return has_signature(given, body, keys) and scheme == "sha256"

    def delivery(self, headers: Headers) -> str:
        return headers.get("x-github-delivery", "")

    def read(self, headers: Headers, body: bytes) -> list[Change]:
        match headers.get(self.event):
            case "push":
                return self._push(_Push.model_validate_json(body))
            case "pull_request" | "pull_request_sync":
                return self._pull(_Pull.model_validate_json(body))
            case _:
                return []

    def _push(self, push: _Push) -> list[Change]:
        if not push.ref.startswith((BRANCH, TAG)):
            return []
        before, after = commit_or_none(push.before), commit_or_none(push.after)
        # Of an annotated tag, `after` is the tag itself.
        head = push.head_commit.id if push.head_commit else None
        revision = head or after or before
        if revision is None:
            return []
        return [
            Change(
                kind="push",
                repository=push.repository.clone_url,
                ref=push.ref,
                revision=revision,
                before=before,
                deleted=after is None,
                by=push.sender.login,
            )
        ]

    def _pull(self, pull: _Pull) -> list[Change]:
        if (event := self.events.get(pull.action)) is None:
            return []
        head, base = pull.pull_request.head, pull.pull_request.base
        return [
            Change(
                kind="pull_request",
                repository=pull.repository.clone_url,
                ref=f"refs/pull/{pull.number}/head",
                revision=head.sha,
                event=event,
                into=base.ref,
                # A repository that is gone was a fork.
                fork=head.repo is None or head.repo.id != base.repo.id,
                by=pull.sender.login,
            )
        ]
