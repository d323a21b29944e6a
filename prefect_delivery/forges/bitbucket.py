"""Webhooks of Bitbucket Cloud.

Source: Bitbucket Cloud docs, "Event payloads" and "Manage webhooks" (secrets).
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from prefect_delivery.changes import BRANCH, TAG, Change, PullRequestEvent
from prefect_delivery.forges.forge import (
    Branch,
    Commit,
    Forge,
    Headers,
    Name,
    Number,
    Payload,
    Url,
    has_signature,
)

# Of pull requests, Bitbucket shortens commits.
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12,64}$")]


class _Link(Payload):
    href: Url


class _Links(Payload):
    html: _Link


class _Repository(Payload):
    links: _Links
    uuid: Name = ""
    full_name: Name


class _Person(Payload):
    nickname: Name = ""


class _Target(Payload):
    hash: Commit


class _State(Payload):
    type: Literal["branch", "tag", "named_branch", "annotated_tag", "bookmark"]
    name: Branch
    target: _Target

    @property
    def ref(self) -> str:
        return (TAG if "tag" in self.type else BRANCH) + self.name


class _Changed(Payload):
    new: _State | None = None
    old: _State | None = None


class _Changes(Payload):
    changes: tuple[_Changed, ...] = Field(max_length=1000)


class _Push(Payload):
    push: _Changes
    repository: _Repository
    actor: _Person = _Person()


class _Short(Payload):
    hash: Digits


class _Named(Payload):
    name: Branch


class _Side(Payload):
    branch: _Named
    commit: _Short
    repository: _Repository | None = None


class _PullRequest(Payload):
    id: Number
    source: _Side
    destination: _Side


class _Pull(Payload):
    pullrequest: _PullRequest
    repository: _Repository
    actor: _Person = _Person()


class Bitbucket(Forge):
    """Bitbucket Cloud."""

    events: ClassVar[dict[str, PullRequestEvent]] = {
        "pullrequest:created": "opened",
        "pullrequest:updated": "updated",
        "pullrequest:fulfilled": "closed",
        "pullrequest:rejected": "closed",
    }

    def is_genuine(self, headers: Headers, body: bytes, keys: Sequence[bytes]) -> bool:
        scheme, _, given = headers.get("x-hub-signature", "").partition("=")
        return has_signature(given, body, keys) and scheme == "sha256"

    def delivery(self, headers: Headers) -> str:
        return headers.get("x-request-uuid", "")

    def read(self, headers: Headers, body: bytes) -> list[Change]:
        key = headers.get("x-event-key", "")
        if key == "repo:push":
            return _push(_Push.model_validate_json(body))
        if event := self.events.get(key):
            return [_pull(_Pull.model_validate_json(body), event)]
        return []


def _push(push: _Push) -> list[Change]:
    found = []
    for changed in push.push.changes:
        state = changed.new or changed.old
        if state is None:
            continue
        found.append(
            Change(
                kind="push",
                repository=push.repository.links.html.href,
                ref=state.ref,
                revision=state.target.hash,
                before=changed.old.target.hash if changed.old else None,
                deleted=changed.new is None,
                by=push.actor.nickname,
            )
        )
    return found


def _pull(pull: _Pull, event: PullRequestEvent) -> Change:
    source = pull.pullrequest.source
    here = pull.repository.full_name
    return Change(
        kind="pull_request",
        repository=pull.repository.links.html.href,
        # Bitbucket keeps no ref of pull requests.
        ref=BRANCH + source.branch.name,
        revision=source.commit.hash,
        event=event,
        into=pull.pullrequest.destination.branch.name,
        fork=source.repository is None or source.repository.full_name != here,
        by=pull.actor.nickname,
    )
