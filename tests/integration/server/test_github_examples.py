"""GitHub's own examples of payloads, which it publishes as a package of npm."""

import json
import os
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import webhooks

from prefect_delivery.changes import Change
from prefect_delivery.forges import FORGES

PACKAGE = "@octokit/webhooks-examples@7.6.1"


@pytest.fixture(scope="session")
def examples() -> list[tuple[str, dict[str, Any]]]:
    """Event and payload of each. The package is fetched once, and kept in the cache."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "prefect-delivery" / "webhooks-examples-7.6.1"
    if not (archives := list(folder.glob("*.tgz"))):
        folder.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            [npm, "pack", "--silent", PACKAGE],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if fetched.returncode:
            pytest.skip(f"npm reaches no package registry: {fetched.stderr.strip()}")
        archives = list(folder.glob("*.tgz"))
    found = []
    with tarfile.open(archives[0]) as archive:
        for member in archive.getnames():
            if not member.endswith("/index.json"):
                continue
            file = archive.extractfile(member)
            assert file is not None
            for event in json.load(file):
                found += [(event["name"], payload) for payload in event["examples"]]
    return found


def test_every_example_is_read(examples: list[tuple[str, dict[str, Any]]]) -> None:
    told: Counter[str] = Counter()
    for event, payload in examples:
        delivery = webhooks.github(event, payload)
        changes = FORGES["github"].read(delivery.headers, delivery.body)
        told[event] += len(changes)
        for change in changes:
            _check(payload, change)

    assert told["push"] == sum(event == "push" for event, _ in examples) >= 12
    pulls = [p["action"] for event, p in examples if event == "pull_request"]
    ours = [a for a in pulls if a in {"opened", "reopened", "synchronize", "closed"}]
    assert told["pull_request"] == len(ours) >= 10
    assert {event for event, count in told.items() if count} == {"push", "pull_request"}


def _check(payload: dict[str, Any], change: Change) -> None:
    assert change.repository == payload["repository"]["clone_url"]
    assert change.by == payload["sender"]["login"]
    if change.kind == "pull_request":
        request = payload["pull_request"]
        assert change.ref == f"refs/pull/{payload['number']}/head"
        assert change.revision == request["head"]["sha"]
        assert change.into == request["base"]["ref"]
        assert change.fork == (request["head"]["repo"] != request["base"]["repo"])
        return
    assert change.ref == payload["ref"]
    assert change.deleted == payload["deleted"]
    gone = payload["before"] if change.deleted else payload["after"]
    assert change.revision == gone
