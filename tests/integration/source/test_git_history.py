"""What lies between two commits of a repository, and which branches have one."""

import pytest
from git_http import GitServer
from git_work import Developer

from prefect_delivery.actions import Job
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.history import (
    Source,
    commits_between,
    is_on_branch,
)


def source(developer: Developer, commit: str) -> Source:
    given = {"url": str(developer.folder)}
    return Source(action="app", commit=commit, configuration=given)


def test_all_commits_that_the_base_does_not_have_are_found(
    developer: Developer,
) -> None:
    base = developer.commit("first")
    developer.git("checkout", "--quiet", "-b", "topic")
    topic = developer.commit("On a branch\n\nCo-Authored-By: Eve <eve@x.example>")
    developer.git("checkout", "--quiet", "main")
    developer.commit("Meanwhile", {"a": "1"})
    developer.git("merge", "--quiet", "--no-ff", "-m", "Merge\x01 it", "topic")
    tip = developer.git("rev-parse", "HEAD")

    found = commits_between(base, source(developer, tip), Job())

    assert {c.message for c in found.commits} == {
        "Merge\x01 it",
        "Meanwhile",
        "On a branch",
    }
    assert topic in {commit.commit for commit in found.commits}
    assert found.people == {"ada", "eve"}
    assert commits_between(tip, source(developer, tip), Job()).commits == ()


def test_who_wrote_commits_that_are_not_listed_is_known_all_the_same(
    developer: Developer,
) -> None:
    base = developer.commit("first")
    developer.commit("Old\n\nCo-authored-by: Eve <eve@x.example>")
    for number in range(100):
        tip = developer.commit(f"change {number}")

    found = commits_between(base, source(developer, tip), Job())

    assert len(found.commits) == 100
    assert "eve" in found.people


def test_a_base_that_is_gone_is_an_error(developer: Developer) -> None:
    tip = developer.commit("first")

    with pytest.raises(ActionFailed, match=f"commit {'1' * 40} is gone from"):
        commits_between("1" * 40, source(developer, tip), Job())


def test_a_commit_is_on_the_branches_that_have_it(developer: Developer) -> None:
    first = developer.commit("first")
    developer.commit("second")
    developer.git("checkout", "--quiet", "-b", "topic")
    topic = developer.commit("third")

    assert is_on_branch(source(developer, first), ["main"], Job())
    assert is_on_branch(source(developer, topic), ["to*"], Job())
    assert not is_on_branch(source(developer, topic), ["main"], Job())
    assert not is_on_branch(source(developer, topic), ["other"], Job())


def test_the_same_is_told_over_the_network(
    developer: Developer, published: str, git_server: GitServer
) -> None:
    base = developer.git("rev-parse", "HEAD")
    tip = developer.commit("Second")
    developer.push()
    developer.git("checkout", "--quiet", "-b", "topic")
    developer.commit("Third")
    developer.push("topic")
    given = {"url": git_server.url(published)}
    brought = Source(action="app", commit=tip, configuration=given)

    found = commits_between(base, brought, Job())

    assert [commit.message for commit in found.commits] == ["Second"]
    assert is_on_branch(brought, ["topic"], Job())
