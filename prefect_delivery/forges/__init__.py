"""Where repositories live: what each forge's webhooks say, and how it is told results."""

from prefect_delivery.forges.bitbucket import Bitbucket
from prefect_delivery.forges.forge import Forge
from prefect_delivery.forges.gitea import Gitea
from prefect_delivery.forges.github import GitHub
from prefect_delivery.forges.gitlab import GitLab
from prefect_delivery.forges.signed import Signed

__all__ = ["FORGES", "Forge"]

FORGES: dict[str, Forge] = {
    "github": GitHub(),
    "gitlab": GitLab(),
    "bitbucket": Bitbucket(),
    "gitea": Gitea(),
    "signed": Signed(),
}
"""By the name that a connection's `forge` has."""
