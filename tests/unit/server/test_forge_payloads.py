"""What the forges' webhooks tell: shapes as their documentation shows them."""

from typing import Any

import pytest
import webhooks
from pydantic import ValidationError
from webhooks import KEY, ZERO, A, B, Delivery

from prefect_delivery.changes import Change
from prefect_delivery.forges import FORGES
from prefect_delivery.forges.signed import Signed

URL = "https://forge.example/ann/shop.git"
KEYS = [KEY.encode()]


def read(forge: str, delivery: Delivery) -> list[Change]:
    return FORGES[forge].read(delivery.headers, delivery.body)


def change(**more: Any) -> Change:
    plain: dict[str, Any] = {"kind": "push", "repository": URL, "by": "ann"}
    return Change(**plain | more)


@pytest.mark.parametrize("forge", ["github", "gitea"])
def test_pushes_as_github_and_gitea_tell_them(forge: str) -> None:
    send = getattr(webhooks, forge)
    main = "refs/heads/main"

    new = read(forge, send("push", webhooks.push(URL, A)))
    further = read(forge, send("push", webhooks.push(URL, B, before=A)))
    gone = read(forge, send("push", webhooks.push(URL, ZERO, before=A)))
    note = read(forge, send("push", webhooks.push(URL, A, ref="refs/notes/x")))
    annotated = webhooks.push(URL, A, ref="refs/tags/v1")
    annotated["head_commit"]["id"] = B
    tag = read(forge, send("push", annotated))

    assert new == [change(ref=main, revision=A)]
    assert further == [change(ref=main, revision=B, before=A)]
    assert gone == [change(ref=main, revision=A, before=A, deleted=True)]
    assert tag == [change(ref="refs/tags/v1", revision=B)]
    assert note == []


@pytest.mark.parametrize(
    ("forge", "updated"), [("github", "synchronize"), ("gitea", "synchronized")]
)
def test_pull_requests_as_github_and_gitea_tell_them(forge: str, updated: str) -> None:
    def told(action: str, **more: Any) -> list[Change]:
        data = webhooks.pull(URL, 7, B, action, **more)
        return read(forge, getattr(webhooks, forge)("pull_request", data))

    wanted: dict[str, Any] = {
        "kind": "pull_request",
        "ref": "refs/pull/7/head",
        "revision": B,
        "into": "main",
        "by": "bob",
    }
    assert told("opened") == [change(**wanted, event="opened")]
    assert told("reopened") == [change(**wanted, event="opened")]
    assert told(updated) == [change(**wanted, event="updated")]
    assert told("closed") == [change(**wanted, event="closed")]
    assert told("labeled") == []
    assert told("opened", fork=2) == [change(**wanted, event="opened", fork=True)]
    gone = webhooks.pull(URL, 7, B)
    gone["pull_request"]["head"]["repo"] = None
    (of_none,) = read(forge, getattr(webhooks, forge)("pull_request", gone))
    assert of_none.fork


def test_what_gitlab_tells() -> None:
    def pushed(*words: str, event: str = "Push Hook") -> list[Change]:
        return read("gitlab", webhooks.gitlab(event, webhooks.gitlab_push(URL, *words)))

    def merging(action: str, **more: Any) -> list[Change]:
        data = webhooks.merge_request(URL, action, **more)
        return read("gitlab", webhooks.gitlab("Merge Request Hook", data))

    main = "refs/heads/main"
    assert pushed(B) == [change(ref=main, revision=B)]
    assert pushed(ZERO) == [change(ref=main, revision=A, before=A, deleted=True)]
    tag = pushed(B, "refs/tags/v1", event="Tag Push Hook")
    assert tag == [change(ref="refs/tags/v1", revision=B)]
    assert pushed(B, event="Issue Hook") == []
    wanted: dict[str, Any] = {
        "kind": "pull_request",
        "ref": "refs/merge-requests/3/head",
        "revision": B,
        "into": "main",
        "by": "bob",
    }
    assert merging("open") == [change(**wanted, event="opened")]
    assert merging("update", oldrev=A) == [change(**wanted, event="updated")]
    assert merging("update") == []  # of its title
    assert merging("merge") == [change(**wanted, event="closed")]
    assert merging("approved") == []
    assert merging("open", source=8) == [change(**wanted, event="opened", fork=True)]


def test_what_bitbucket_tells() -> None:
    state = webhooks.bitbucket_state
    pushed = webhooks.bitbucket_push(
        URL,
        (state("main", A), state("main", B)),
        (None, state("v1", B, "tag")),
        (state("old", A), None),
    )

    def pull(event: str, **more: str) -> list[Change]:
        data = webhooks.bitbucket_pull(URL, **more)
        return read("bitbucket", webhooks.bitbucket(f"pullrequest:{event}", data))

    assert read("bitbucket", webhooks.bitbucket("repo:push", pushed)) == [
        change(ref="refs/heads/main", revision=B, before=A),
        change(ref="refs/tags/v1", revision=B),
        change(ref="refs/heads/old", revision=A, before=A, deleted=True),
    ]
    wanted: dict[str, Any] = {
        "kind": "pull_request",
        "ref": "refs/heads/change",
        "revision": B[:12],
        "into": "main",
        "by": "bob",
    }
    assert pull("created") == [change(**wanted, event="opened")]
    assert pull("updated") == [change(**wanted, event="updated")]
    assert pull("rejected") == [change(**wanted, event="closed")]
    assert pull("approved") == []
    forked = pull("created", source="eve/shop")
    assert forked == [change(**wanted, event="opened", fork=True)]


def test_what_is_signed_by_our_own_form() -> None:
    data = {"repository": URL, "ref": "refs/heads/main", "revision": B, "by": "ann"}
    delivery = webhooks.signed(data, at=1000)

    def is_genuine(delivery: Delivery, now: float) -> bool:
        forge = Signed(lambda: now)
        return forge.is_genuine(delivery.headers, delivery.body, KEYS)

    told = read("signed", delivery)
    assert told == [change(ref="refs/heads/main", revision=B)]
    assert is_genuine(delivery, 1000)
    assert is_genuine(delivery, 1300)
    assert not is_genuine(delivery, 1301)
    assert not is_genuine(delivery, 699)
    moved = delivery.but(x_delivery_timestamp="2000")
    assert not is_genuine(moved, 2000)
    nonsense = webhooks.signed(data, at=1000).but(x_delivery_timestamp="²")
    assert not is_genuine(nonsense, 1000)


DELIVERIES = {
    "github": webhooks.github("push", webhooks.push(URL, A)),
    "gitea": webhooks.gitea("push", webhooks.push(URL, A)),
    "gitlab": webhooks.gitlab("Push Hook", webhooks.gitlab_push(URL, A)),
    "bitbucket": webhooks.bitbucket("repo:push", webhooks.bitbucket_push(URL)),
}


@pytest.mark.parametrize("forge", DELIVERIES)
def test_each_of_several_secrets_is_good_and_no_other(forge: str) -> None:
    reader, delivery = FORGES[forge], DELIVERIES[forge]

    def is_genuine(delivery: Delivery, *keys: str) -> bool:
        encoded = [key.encode() for key in keys]
        return reader.is_genuine(delivery.headers, delivery.body, encoded)

    assert is_genuine(delivery, KEY)
    assert is_genuine(delivery, "the next one", KEY)
    assert is_genuine(delivery, KEY, "the next one")
    assert not is_genuine(delivery, "the next one")
    assert not is_genuine(delivery)
    assert not is_genuine(Delivery(delivery.body), KEY)
    if forge != "gitlab":  # which signs nothing
        assert not is_genuine(Delivery(delivery.body + b" ", delivery.headers), KEY)


def test_a_signature_by_sha1_is_none() -> None:
    delivery = DELIVERIES["github"]
    given = delivery.headers["x-hub-signature-256"]
    renamed = delivery.but(x_hub_signature_256=given.replace("sha256", "sha1"))

    assert not FORGES["github"].is_genuine(renamed.headers, renamed.body, KEYS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ref": "--upload-pack=touch /tmp/x"},
        {"ref": "refs/heads/a b"},
        {"ref": "refs/heads/*"},
        {"ref": "refs/heads/x\n"},
        {"ref": "refs/-x"},
        {"ref": 7},
        {"after": "main"},
        {"after": A + "\n"},
        {"after": A.upper()},
        {"repository": {"clone_url": "a b"}},
        {"repository": []},
        {"sender": {"login": "x" * 501}},
    ],
)
def test_what_no_forge_sends_is_refused(wrong: dict[str, Any]) -> None:
    delivery = webhooks.github("push", webhooks.push(URL, A) | wrong)

    with pytest.raises(ValidationError):
        read("github", delivery)
