"""Which changes a pipeline's triggers want (CodePipeline user guide, filter examples)."""

from typing import Any

import pytest

from prefect_delivery.changes import Change
from prefect_delivery.definition import load
from prefect_delivery.definition.models import Filter, Pipeline
from prefect_delivery.definition.triggers import check_filters, ring_of
from prefect_delivery.errors import DefinitionError
from prefect_delivery.repositories import identity_of
from prefect_delivery.trigger_filters import (
    filters_for,
    sources_for,
    why_not_files,
    why_not_ref,
)

URL = "https://git.example/ann/shop.git"


def pipeline(
    on: str, *, name: str = "shop", branch: str = ", branch: main"
) -> Pipeline:
    return load(
        f"""
pipeline: {name}
on: {on}
stages:
  Source:
    actions:
      app: {{uses: source/git, with: {{url: "{URL}"{branch}}}}}
  Build:
    actions:
      make: {{uses: build/commands, with: {{commands: ["true"]}}}}
"""
    )


def push(ref: str, **more: Any) -> Change:
    ref = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    return Change(kind="push", repository=URL, ref=ref, revision="1" * 40, **more)


def pull(into: str, **more: Any) -> Change:
    given: dict[str, Any] = {"event": "opened", **more}
    return Change(
        kind="pull_request",
        repository=URL,
        ref="refs/pull/7/head",
        revision="1" * 40,
        into=into,
        **given,
    )


@pytest.mark.parametrize(
    ("on", "change", "wanted"),
    [
        ("{push: {branches: [main]}}", push("main"), True),
        ("{push: {branches: [main]}}", push("dev"), False),
        ("{push: {branches: ['f/*'], branches_ignore: ['f/x']}}", push("f/a"), True),
        ("{push: {branches: ['f/*'], branches_ignore: ['f/x']}}", push("f/x"), False),
        ("{push: {branches_ignore: [main]}}", push("dev"), True),
        ("{push: {branches: [main]}}", push("refs/tags/v1"), False),
        ("{push: {tags: ['v*']}}", push("refs/tags/v1"), True),
        ("{push: {tags: ['v*'], tags_ignore: ['v0*']}}", push("refs/tags/v01"), False),
        ("{push: {tags: ['v*']}}", push("v1"), False),
        ("{push: {branches: [main], tags: ['v*']}}", push("refs/tags/v1"), True),
        ("{push: {branches: [main], tags: ['v*']}}", push("main"), True),
        # A filter that names no branch means the branch of the source.
        ("{push: {}}", push("main"), True),
        ("{push: {}}", push("dev"), False),
        ("{push: {paths: ['src/**']}}", push("dev"), False),
        ("{push: {branches: [main]}}", push("main", deleted=True), False),
        ("{push: {branches: [main]}}", push("refs/notes/x"), False),
        ("{pull_request: {branches: [main]}}", pull("main"), True),
        ("{pull_request: {branches: [main]}}", pull("dev"), False),
        ("{pull_request: {}}", pull("dev"), True),
        ("{pull_request: {}}", pull("main", event="closed"), False),
        ("{pull_request: {events: [closed]}}", pull("main", event="closed"), True),
        ("{pull_request: {}}", pull("main", fork=True), False),
        ("{pull_request: {forks: true}}", pull("main", fork=True), True),
    ],
)
def test_a_filter_decides_by_branch_tag_and_event(
    on: str, change: Change, wanted: bool
) -> None:
    made = pipeline(on)
    (chosen,) = filters_for(made, change)

    why = why_not_ref(made, change, chosen)

    assert (why is None) is wanted, why


@pytest.mark.parametrize(
    ("paths", "ignored", "files", "wanted"),
    [
        (["src/**"], [], ["src/a.py"], True),
        (["src/**"], [], ["docs/a.md"], False),
        ([], ["docs/**"], ["docs/a.md"], False),
        # Each file is judged alone: one that passes is enough.
        ([], ["docs/**"], ["docs/a.md", "src/a.py"], True),
        (["src/**"], ["**.md"], ["src/a.md", "b.py"], False),
        (["src/**"], ["**.md"], ["src/a.md", "src/b.py"], True),
        (["src/**"], [], [], False),
    ],
)
def test_each_file_is_judged_alone_and_excludes_win(
    paths: list[str], ignored: list[str], files: list[str], wanted: bool
) -> None:
    why = why_not_files(Filter(paths=paths, paths_ignore=ignored), files)

    assert (why is None) is wanted


def test_a_definition_says_one_filter_or_several_and_comes_back_as_it_was() -> None:
    several = "{push: [{branches: [main]}, {tags: ['v*']}], pull_request: {}}"

    one, many = pipeline("{push: {branches: [main]}}"), pipeline(several)

    assert one.snapshot()["on"] == {"push": {"branches": ["main"]}}
    assert pipeline("{push: [{branches: [main]}]}").digest == one.digest
    said = {"push": [{"branches": ["main"]}, {"tags": ["v*"]}], "pull_request": {}}
    assert many.snapshot()["on"] == said
    assert Pipeline.model_validate(many.snapshot()) == many


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("{push: {branchs: [main]}}", "'branchs' in 'push'; did you mean 'branches'?"),
        (
            "{push: [{tags: ['v*']}, {tag: [a]}]}",
            "'tag' in 'push'; did you mean 'tags'?",
        ),
        ("{push: []}", "'push' must not be empty"),
        ("{push: [{}, {}, {}, {}]}", "holds 4 entries; at most 3"),
        ("{push: main}", "'push' must be a mapping, not text"),
        ("{push: [{}, {tags: ['[']}]}", "pattern '\\[' opens"),
    ],
)
def test_what_is_wrong_in_one_filter_or_several_is_said(on: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said.replace("?", r"\?")):
        pipeline(on)


def test_without_a_branch_of_its_own_a_source_takes_all() -> None:
    made = pipeline("{push: {}}", branch="")

    assert why_not_ref(made, push("dev"), Filter()) is None


def test_of_two_sources_the_one_of_the_branch_is_meant() -> None:
    made = pipeline("{push: {}}").model_dump(mode="json", by_alias=True)
    source = made["stages"]["Source"]["actions"]
    source["old"] = {"uses": "source/git", "with": {"url": URL, "branch": "old"}}
    both = Pipeline.model_validate(made)

    assert list(sources_for(both, push("old"))) == ["old"]
    assert list(sources_for(both, push("new"))) == ["app", "old"]


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example/ann/shop",
        "https://ann@GIT.example:443/ann/shop.git/",
        "ssh://git@git.example:2222/ann/shop.git",
        "git@git.example:ann/shop.git",
    ],
)
def test_a_repository_is_known_by_any_of_its_addresses(address: str) -> None:
    assert identity_of(address) == identity_of(URL) == "git.example/ann/shop"


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("{push: {branches: [main], branches_ignore: ['**']}}", "all branches are"),
        ("{push: {branches: [a], branches_ignore: [a, b]}}", "all branches are"),
        ("{push: {paths_ignore: ['**']}}", "all paths are excluded"),
        ("{pull_request: {events: []}}", "no event of pull requests"),
        ("{pull_request: {tags: ['v*']}}", "pull requests have no tags"),
        ("{push: {branches: ['**'], branches_ignore: [main]}}", None),
        ("{push: [{}, {tags: [v], tags_ignore: ['**']}]}", "all tags are excluded"),
    ],
)
def test_a_filter_that_lets_nothing_through_is_warned_of(
    on: str, said: str | None
) -> None:
    found = [finding.message for finding in check_filters(pipeline(on))]

    assert len(found) == (said is not None)
    assert all(said in message for message in found if said)


def test_pipelines_that_start_each_other_are_a_ring() -> None:
    a, b, c = (
        pipeline(f"{{pipeline: [{before}]}}", name=name)
        for name, before in (("a", "b"), ("b", "c"), ("c", "a"))
    )

    assert ring_of({"a": a, "b": b}) == []
    assert sorted(ring_of({"a": a, "b": b, "c": c})) == ["a", "b", "c"]
