"""Images of Docker's own registry, as a source and as what starts pipelines."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_registry import PASSWORD, PROGRAM, USER, USERS, Registry
from token_server import token_server

from prefect_delivery.actions import ActionFailed, Job, Outputs
from prefect_delivery.definition import load
from prefect_delivery.flows.watch import look_around
from prefect_delivery.ledger import Ledger
from prefect_delivery.tasks.source.image import bring_image

PIPELINE = """
pipeline: shop
on: {push: {}}
stages:
  Source:
    actions:
      app: {uses: source/image, with: {image: "%s", tag: "v1.*"}}
  Build:
    actions:
      make: {uses: build/commands, with: {commands: ["true"]}}
"""

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="not installed: docker-registry"
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as made:
        yield made


def bring(image: str, revision: str | None = None, **more: str) -> Outputs:
    return bring_image.fn(image, **more, job=Job(revision=revision))


def test_a_tag_brings_what_it_points_to_now_and_a_pin_what_it_pointed_to(
    registry: Registry, tmp_path: Path
) -> None:
    image = f"{registry.host}/team/shop"
    first = registry.push("team/shop", "latest", "one")
    second = registry.push("team/shop", "latest", "two")

    newest, pinned = bring(image), bring(image, first)

    address = f"{image}@{second}"
    assert newest.variables == {"tag": "latest", "digest": second, "image": address}
    assert pinned.variables == {
        "tag": "",
        "digest": first,
        "image": f"{image}@{first}",
    }
    newest.artifacts["source"].unpack(tmp_path / "out")
    detail = json.loads((tmp_path / "out" / "imageDetail.json").read_text())
    assert detail["ImageURI"] == address


def test_of_tags_that_fit_a_pattern_the_last_counts(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefect_delivery.tasks.source.image.PAGE", 2)
    for tag in ("v1.2", "v1.10", "v1.9", "v2.0", "latest"):
        registry.push("shop", tag, tag)

    brought = bring(f"{registry.host}/shop", tag="v1.*")

    assert brought.variables["tag"] == "v1.10"


@pytest.mark.parametrize(
    ("image", "more", "said"),
    [
        ("%s/shop", {"tag": "none"}, "shop has no image none"),
        ("%s/shop", {"tag": "v9.*"}, "shop has no image v9"),
        ("%s/other", {}, "other has no image latest"),
        ("%s/shop", {"tag": "../x"}, "neither a tag nor a digest"),
        ("%s/shop:latest", {}, "no name of an image"),
        ("ann@%s/shop", {}, "no name of an image"),
        ("127.0.0.1:1/shop", {}, "127.0.0.1:1 cannot be read"),
    ],
)
def test_what_is_not_there_is_said(
    registry: Registry, image: str, more: dict[str, str], said: str
) -> None:
    registry.push("shop", "latest", "one")

    with pytest.raises(ActionFailed, match=said):
        bring(image.replace("%s", registry.host), **more)


@pytest.mark.parametrize("kind", ["password", "token"])
def test_a_registry_that_asks_who_we_are_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    users = tmp_path / "users"
    users.write_text(USERS)
    by_password = {"htpasswd": {"realm": "here", "path": str(users)}}
    with token_server(tmp_path) as by_token:
        auth = by_password if kind == "password" else by_token
        with Registry(tmp_path / "registry") as registry:
            pushed = registry.push("shop", "latest", "one")
        with Registry(tmp_path / "registry", auth) as registry:
            image = f"{registry.host}/shop"
            known = {"username": USER, "credentials": "env:REGISTRY_PASSWORD"}

            assert bring(image, **known).variables["digest"] == pushed
            with pytest.raises(ActionFailed, match="401"):
                bring(image)
            with pytest.raises(ActionFailed, match="401"):
                bring(image, **{**known, "username": "eve"})


def test_a_new_image_starts_a_pipeline_pinned_to_it(
    registry: Registry, home: Path
) -> None:
    ledger = Ledger.open()
    ledger.deployments.note(
        load(PIPELINE % f"{registry.host}/shop"),
        deployment="00000000-0000-0000-0000-000000000000",
        origin="there",
        file="delivery.yaml",
        settings={},
        by="ann",
    )

    def look() -> list[str]:
        said: list[str] = []
        look_around(ledger, said.append, hand_over=lambda *_: None)
        return said

    assert look() == [f"image://{registry.host}/shop:v1.*: watched from now on"]
    registry.push("shop", "v2.0", "not wanted")
    assert look() == []
    pushed = registry.push("shop", "v1.10", "wanted")

    (found,) = look()

    assert found.startswith("shop #1: change of image://")
    assert ledger.executions.find("shop").revisions == {"app": pushed}
    registry.push("shop", "v1.9", "older")
    assert look() == []
