"""Changes of repositories that AWS or a token leads to: polled, and told by webhooks."""

import itertools
import json
from pathlib import Path

import pytest
import webhooks
from git_http import GitServer
from git_work import Developer

from prefect_delivery.definition import load
from prefect_delivery.flows.watch import look_around
from prefect_delivery.forges import FORGES
from prefect_delivery.inbox import CHANGES, process
from prefect_delivery.ledger import Ledger
from prefect_delivery.queues import carry_out

CONNECTION = "arn:aws:codeconnections:eu-west-1:123456789012:connection/c0ffee"
PIPELINE = """
pipeline: {name}
on: {{push: [{{branches: [main]}}, {{tags: ["v*"]}}]}}
stages:
  Source:
    actions:
      app: {{uses: {uses}, with: {{{with_}}}}}
  Build:
    actions:
      make: {{uses: build/commands, with: {{commands: ["true"]}}}}
"""
SOURCES = {
    "connection": (
        "source/connection",
        f'connection_arn: "{CONNECTION}", branch_name: main, full_repository_id: acme/shop',
    ),
    "codecommit": ("source/codecommit", "repository_name: shop, branch_name: main"),
    "github": (
        "source/github",
        'owner: public, repo: signed, branch: main, oauth_token: env:GITHUB, server: "%s"',
    ),
}


class Deployed:
    """Pipelines of one repository, which each reaches in a way of its own."""

    def __init__(self, server: GitServer, developer: Developer) -> None:
        self.ledger = Ledger.open()
        self.server = f"http://127.0.0.1:{server.port}"
        self.developer = developer
        self._count = itertools.count(1)
        for name, (uses, with_) in SOURCES.items():
            with_ = with_.replace("%s", self.server)
            self.ledger.deployments.note(
                load(PIPELINE.format(name=name, uses=uses, with_=with_)),
                deployment="00000000-0000-0000-0000-000000000000",
                origin="there",
                file=f"{name}.yaml",
                settings={},
                by="ann",
            )

    def look(self) -> list[str]:
        said: list[str] = []
        look_around(self.ledger, said.append, hand_over=lambda *_: None)
        return said

    def told(self, repository: str, commit: str) -> str:
        """What becomes of a delivery that GitHub sends of a push to main."""
        data = {
            "ref": "refs/heads/main",
            "before": webhooks.ZERO,
            "after": commit,
            "repository": {"full_name": "", "clone_url": repository},
        }
        delivery = webhooks.github("push", data)
        changes = FORGES["github"].read(delivery.headers, delivery.body)
        number = str(next(self._count))
        self.ledger.inbox.accept(
            "github",
            delivery=number,
            digest=number,
            changes=CHANGES.dump_json(changes).decode(),
            most=100,
        )
        said: list[str] = []
        process(self.ledger, said.append, hand_over=lambda *_: None)
        return "".join(said)

    def queued(self, branch: str) -> str:
        """What becomes of a message by which CodeCommit tells of a push."""
        event = {
            "source": "aws.codecommit",
            "detail-type": "CodeCommit Repository State Change",
            "detail": {
                "event": "referenceUpdated",
                "repositoryName": "shop",
                "referenceType": "branch",
                "referenceName": branch,
            },
        }
        return carry_out(self.ledger, json.dumps(event), lambda *_: None)

    @property
    def started(self) -> dict[str, list[str | None]]:
        """The commits of each pipeline's executions, the newest first."""
        return {
            name: [e.revisions.get("app") for e in self.ledger.executions.list(name)]
            for name in SOURCES
        }


@pytest.fixture
def deployed(
    signed_git: None,
    git_server: GitServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Deployed:
    monkeypatch.setenv("GITHUB", "correct horse battery")
    bare = git_server.repositories / "signed.git"
    if not bare.exists():
        git_server.create("signed")
    developer = Developer(tmp_path / "work")
    developer.git("remote", "add", "origin", str(bare))
    developer.commit("first", {"a": str(tmp_path)})
    developer.git("push", "--force", "--quiet", "origin", "HEAD:refs/heads/main")
    return Deployed(git_server, developer)


def test_a_push_is_found_by_polling_and_told_by_a_webhook_once(
    deployed: Deployed,
) -> None:
    assert len([line for line in deployed.look() if "watched from now on" in line]) == 3
    commit = deployed.developer.commit("second", {"b": "2"})
    deployed.developer.push()

    by_connection = deployed.told("https://github.com/acme/shop", commit)
    by_token = deployed.told(f"{deployed.server}/public/signed.git", commit)
    found = deployed.look()

    assert "connection #1 started" in by_connection
    assert "github #1 started" in by_token
    assert found == ["codecommit #1: push to main"]
    assert deployed.started == {name: [commit] for name in SOURCES}
    assert "started before" in deployed.told("https://github.com/acme/shop", commit)
    assert deployed.look() == []


def test_a_push_is_told_by_a_queue_once(deployed: Deployed) -> None:
    deployed.look()
    commit = deployed.developer.commit("third", {"c": "3"})
    deployed.developer.push()

    first, again = deployed.queued("main"), deployed.queued("main")
    missing = deployed.queued("missing")

    assert "codecommit #1 started" in first
    assert "was started before" in again
    assert "is not there" in missing
    assert deployed.started["codecommit"] == [commit]
    assert not [line for line in deployed.look() if line.startswith("codecommit ")]


def test_a_connection_is_asked_whether_it_is_so(deployed: Deployed) -> None:
    head = deployed.developer.git("rev-parse", "HEAD").strip()

    forged = deployed.told("https://elsewhere.example/acme/shop", "b" * 40)
    other = deployed.told("https://github.com/acme/other", head)

    assert "is not on refs/heads/main" in forged
    assert "no deployed pipeline has this repository" in other
    assert deployed.started == {name: [] for name in SOURCES}
