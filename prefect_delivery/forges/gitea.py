"""Webhooks of Gitea and Forgejo, which are shaped as GitHub's.

Source: Gitea docs, "Webhooks".
"""

from collections.abc import Sequence
from typing import ClassVar

from prefect_delivery.changes import PullRequestEvent
from prefect_delivery.forges.forge import Headers, has_signature
from prefect_delivery.forges.github import GitHub


class Gitea(GitHub):
    """Gitea and Forgejo."""

    event = "x-gitea-event"
    events: ClassVar[dict[str, PullRequestEvent]] = {
        "opened": "opened",
        "reopened": "opened",
        "synchronized": "updated",
        "closed": "closed",
    }

    def is_genuine(self, headers: Headers, body: bytes, keys: Sequence[bytes]) -> bool:
        return has_signature(headers.get("x-gitea-signature", ""), body, keys)

    def delivery(self, headers: Headers) -> str:
        return headers.get("x-gitea-delivery", "")
