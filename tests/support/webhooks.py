"""Deliveries as forges send them, after what their documentation shows."""

import hashlib
import hmac
import json
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

KEY = "correct horse battery staple"
A, B, ZERO = "a" * 40, "b" * 40, "0" * 40


@dataclass
class Delivery:
    """One request: what is posted, and its headers."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def but(self, **headers: str) -> "Delivery":
        """The same with other headers; `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Delivery(self.body, self.headers | named)


def signature(signed: bytes, key: str = KEY) -> str:
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def encoded(data: Any) -> bytes:
    return data if isinstance(data, bytes) else json.dumps(data).encode()


def github(event: str, data: Any, *, key: str = KEY, id: str = "") -> Delivery:
    body = encoded(data)
    return Delivery(
        body,
        {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": id or str(uuid.uuid4()),
            "x-hub-signature-256": f"sha256={signature(body, key)}",
        },
    )


def gitea(event: str, data: Any, *, key: str = KEY) -> Delivery:
    body = encoded(data)
    return Delivery(
        body,
        {
            "content-type": "application/json",
            "x-gitea-event": event,
            "x-gitea-delivery": str(uuid.uuid4()),
            "x-gitea-signature": signature(body, key),
        },
    )


def gitlab(event: str, data: Any, *, key: str = KEY) -> Delivery:
    return Delivery(
        encoded(data),
        {
            "content-type": "application/json",
            "x-gitlab-event": event,
            "x-gitlab-event-uuid": str(uuid.uuid4()),
            "x-gitlab-token": key,
        },
    )


def bitbucket(event: str, data: Any, *, key: str = KEY) -> Delivery:
    body = encoded(data)
    return Delivery(
        body,
        {
            "content-type": "application/json",
            "x-event-key": event,
            "x-request-uuid": str(uuid.uuid4()),
            "x-hub-signature": f"sha256={signature(body, key)}",
        },
    )


def signed(data: Any, *, at: int, key: str = KEY) -> Delivery:
    body = encoded(data)
    signed = f"{at}.".encode() + body
    return Delivery(
        body,
        {
            "content-type": "application/json",
            "x-delivery-timestamp": str(at),
            "x-delivery-signature": f"sha256={signature(signed, key)}",
        },
    )


def push(url: str, after: str, ref: str = "refs/heads/main", before: str = ZERO) -> Any:
    """A push as GitHub and Gitea tell it."""
    head = {"id": after, "message": "m"} if after.strip("0") else None
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "head_commit": head,
        "repository": {"id": 1, "clone_url": url},
        "sender": {"login": "ann"},
    }


def pull(url: str, number: int, sha: str, action: str = "opened", fork: int = 1) -> Any:
    """A pull request as GitHub and Gitea tell it."""
    return {
        "action": action,
        "number": number,
        "pull_request": {
            "head": {"sha": sha, "ref": "change", "repo": {"id": fork}},
            "base": {"ref": "main", "repo": {"id": 1}},
        },
        "repository": {"id": 1, "clone_url": url},
        "sender": {"login": "bob"},
    }


def gitlab_push(url: str, after: str, ref: str = "refs/heads/main") -> Any:
    gone = not after.strip("0")
    return {
        "object_kind": "push",
        "before": A if gone else ZERO,
        "after": after,
        "ref": ref,
        "checkout_sha": None if gone else after,
        "user_username": "ann",
        "project": {"id": 7, "git_http_url": url},
        "total_commits_count": 1,
    }


def merge_request(url: str, action: str, *, source: int = 7, **more: Any) -> Any:
    return {
        "object_kind": "merge_request",
        "user": {"username": "bob"},
        "project": {"id": 7, "git_http_url": url},
        "object_attributes": {
            "iid": 3,
            "action": action,
            "source_project_id": source,
            "target_project_id": 7,
            "target_branch": "main",
            "last_commit": {"id": B},
            **more,
        },
    }


def bitbucket_repository(url: str, name: str = "ann/shop") -> Any:
    return {"full_name": name, "uuid": "{1}", "links": {"html": {"href": url}}}


def bitbucket_push(url: str, *changes: tuple[Any, Any]) -> Any:
    """A push of pairs of old and new states."""
    listed = [{"old": old, "new": new} for old, new in changes]
    return {
        "actor": {"nickname": "ann"},
        "repository": bitbucket_repository(url),
        "push": {"changes": listed},
    }


def bitbucket_state(name: str, commit: str, type: str = "branch") -> Any:
    return {"type": type, "name": name, "target": {"hash": commit}}


def bitbucket_pull(url: str, source: str = "ann/shop") -> Any:
    return {
        "actor": {"nickname": "bob"},
        "repository": bitbucket_repository(url),
        "pullrequest": {
            "id": 9,
            "source": {
                "branch": {"name": "change"},
                "commit": {"hash": B[:12]},
                "repository": bitbucket_repository(url, source),
            },
            "destination": {"branch": {"name": "main"}, "commit": {"hash": A[:12]}},
        },
    }


HOOK = """#!{python}
import sys
sys.path.insert(0, {support!r})
from webhooks import tell
tell({url!r}, {address!r})
"""


def tell_of_pushes(bare: Path, url: str, address: str) -> None:
    """Have a repository on the git server tell somebody of each push.

    Args:
        url: Of the repository, as its webhook says it.
        address: Where the webhook goes.
    """
    hook = bare / "hooks" / "post-receive"
    support = str(Path(__file__).parent)
    hook.write_text(
        HOOK.format(python=sys.executable, support=support, url=url, address=address)
    )
    hook.chmod(0o755)


def tell(url: str, address: str) -> None:
    """What the hook does: it reads from git which references were pushed."""
    for line in sys.stdin:
        before, after, ref = line.split()
        delivery = github("push", push(url, after, ref, before))
        httpx.post(
            address, content=delivery.body, headers=delivery.headers, timeout=60
        ).raise_for_status()
