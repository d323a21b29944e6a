"""From a change to exactly one execution, with a git server that knows what is newer."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from deployed_repository import DeployedRepository
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_delivery.changes import Change, Ignored, Started
from prefect_delivery.cli.changes import changes
from prefect_delivery.errors import ActionFailed
from prefect_delivery.ledger import Ledger

MAIN = "{push: {branches: [main]}}"


def test_a_change_starts_one_execution_in_each_pipeline_that_wants_it(
    there: DeployedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = there.developer.commit("one", {"src/a": "1"})
    there.developer.push()
    there.deploy("wants", MAIN)
    there.deploy("other-branch", "{push: {branches: [dev]}}")
    there.deploy("by-hand", "{}")
    there.deploy("incomplete", MAIN, "variables: {size: {}}")

    first = there.incoming(there.push(commit))
    second = there.incoming(there.push(commit))

    ignored = {o.pipeline: o.reason for o in first if isinstance(o, Ignored)}
    assert ignored == {
        "incomplete": "variable 'size' needs a value",
        "other-branch": "branch 'main' does not pass the filter",
    }
    (started,) = [o for o in first if isinstance(o, Started)]
    assert (started.title, started.handed_over) == ("wants #1", True)
    (execution,) = there.ledger.executions.list()
    assert execution.revisions == {"app": commit}
    assert (execution.trigger, execution.started_by) == ("push to main", "ann")
    assert [outcome.again for outcome in second] == [True] * 3
    assert {o.reason for o in second if isinstance(o, Ignored)} == {*ignored.values()}
    there.ledger.audit.verify()
    changes()
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 3
    assert listed[0].endswith(f"refs/heads/main {commit} started wants #1")
    assert "incomplete" in listed[2]
    assert "ignored: variable 'size' needs a value" in listed[2]


def test_one_filter_of_several_is_enough(there: DeployedRepository) -> None:
    there.developer.commit("one", {"a": "1"})
    there.developer.push()
    before = there.developer.git("rev-parse", "HEAD").strip()
    commit = there.developer.commit("two", {"docs/a": "2"})
    there.developer.push()
    there.deploy("second", "{push: [{paths: ['src/**']}, {paths: ['docs/**']}]}")
    there.deploy("neither", "{push: [{paths: ['src/**']}, {tags: ['v*']}]}")
    forks = "{pull_request: [{branches: [main]}, {branches: [main], forks: true}]}"
    there.deploy("fork", forks, image="debian:12")

    neither, second = there.incoming(there.push(commit, before=before))
    (fork,) = there.incoming(Change(**{**vars(_pull_request(there, "")), "fork": True}))

    assert isinstance(second, Started)
    assert isinstance(neither, Ignored)
    assert neither.reason == (
        "no changed file passes the filter of paths;"
        " branch 'main' does not pass the filter"
    )
    assert isinstance(fork, Started)


def test_the_same_change_told_by_many_at_once_starts_one_execution(
    there: DeployedRepository,
) -> None:
    commit = there.developer.commit("one", {"a": "1"})
    there.developer.push()
    there.deploy("wants", MAIN)

    with ThreadPoolExecutor(8) as threads:
        told = [threads.submit(there.incoming, there.push(commit)) for _ in range(8)]
        outcomes = [one for each in told for one in each.result()]

    assert len(there.ledger.executions.list()) == 1
    assert {getattr(each, "title", None) for each in outcomes} == {"wants #1"}


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(order=st.permutations(range(4)), repeated=st.sets(st.integers(0, 3)))
def test_whatever_the_order_an_older_commit_is_never_started_after_a_newer_one(
    there: DeployedRepository, order: list[int], repeated: set[int]
) -> None:
    commits = _four_commits(there)
    with TemporaryDirectory() as folder, Ledger(f"sqlite:///{folder}/l.db") as ledger:
        mine = DeployedRepository(ledger, there.developer, there.url)
        mine.deploy("wants", MAIN)

        told = [*order, *sorted(repeated)]
        outcomes = [mine.incoming(mine.push(commits[number]))[0] for number in told]

        started = [
            commits.index(each.revisions["app"])
            for each in reversed(ledger.executions.list())
        ]
        assert started == sorted(started)
        assert started[-1] == 3
        newest_first = itertools.accumulate(order, max)
        assert started == sorted(set(newest_first))
        older = [each for each in outcomes if isinstance(each, Ignored)]
        assert all("older than" in each.reason for each in older)
        noted = {note.revision for note in ledger.changes.list()}
        assert noted == {commits[number] for number in order}


_commits: dict[str, list[str]] = {}


def _four_commits(there: DeployedRepository) -> list[str]:
    if there.url not in _commits:
        _commits[there.url] = [
            there.developer.commit(str(n), {"a": str(n)}) for n in range(4)
        ]
        there.developer.push()
    return _commits[there.url]


def test_of_a_branch_that_was_overwritten_what_it_has_now_counts(
    there: DeployedRepository,
) -> None:
    there.deploy("wants", MAIN)
    there.developer.commit("base", {"a": "0"})
    lost = there.developer.commit("lost", {"a": "1"})
    there.developer.push()
    late = there.developer.commit("late", {"a": "2"})
    there.developer.push()
    there.developer.git("reset", "--quiet", "--hard", "HEAD~2")
    kept = there.developer.commit("kept", {"b": "1"})

    assert isinstance(there.incoming(there.push(lost))[0], Started)
    there.developer.push()
    assert isinstance(there.incoming(there.push(kept))[0], Started)
    (outcome,) = there.incoming(there.push(late))

    assert isinstance(outcome, Ignored)
    assert "no longer on branch main" in outcome.reason


def test_paths_are_found_in_the_repository_where_nobody_tells_them(
    there: DeployedRepository,
) -> None:
    there.deploy("source", "{push: {branches: ['**'], paths: ['src/**']}}")
    one = there.developer.commit("one", {"src/a": "1", "docs/a": "1"})
    docs = there.developer.commit("two", {"docs/a": "2"})
    code = there.developer.commit("three", {"src/a": "3"})
    there.developer.push("HEAD:main", "HEAD:new")

    told = [
        there.incoming(there.push(docs, before=one))[0],
        there.incoming(there.push(code, before=docs))[0],
        there.incoming(there.push(code, "refs/heads/new"))[0],
    ]

    assert isinstance(told[0], Ignored)
    assert told[0].reason == "no changed file passes the filter of paths"
    assert isinstance(told[1], Started)
    assert isinstance(told[2], Ignored)
    assert told[2].reason == "what files changed is not known of a new branch"


def test_a_repository_that_cannot_be_read_leaves_the_change_for_later(
    there: DeployedRepository,
) -> None:
    there.deploy("wants", MAIN)
    first, second = (there.developer.commit(n, {"a": n}) for n in "ab")
    there.developer.push()
    there.incoming(there.push(first))
    bare = Path(there.developer.git("remote", "get-url", "origin"))
    bare.rename(bare.with_suffix(".away"))

    with pytest.raises(ActionFailed):
        there.incoming(there.push(second))

    assert len(there.ledger.changes.list()) == 1
    bare.with_suffix(".away").rename(bare)
    assert isinstance(there.incoming(there.push(second))[0], Started)


def test_a_fork_gets_no_secrets_and_runs_what_is_deployed(
    there: DeployedRepository,
) -> None:
    forks = "{pull_request: {forks: true, own_definition: true}}"
    there.deploy("bare", forks)
    there.deploy("open", forks, image="debian:12")
    there.deploy("shut", "{pull_request: {}}")
    change = _pull_request(there, there.text("open", "{}").replace('"true"', '"x"'))

    bare, opened, shut = there.incoming(Change(**{**vars(change), "fork": True}))

    assert isinstance(shut, Ignored)
    assert "fork" in shut.reason
    assert isinstance(bare, Ignored)
    assert "Build / make is not in a container" in bare.reason
    assert isinstance(opened, Started)
    make = _make(there, opened)
    assert make == {"commands": ["true"], "image": "debian:12"}


def test_a_pull_request_brings_its_own_definition_only_where_allowed(
    there: DeployedRepository,
) -> None:
    there.deploy("own", "{pull_request: {own_definition: true}}")
    there.deploy("theirs", "{pull_request: {}}")
    change = _pull_request(there, there.text("own", "{}").replace('"true"', '"x"'))

    own, theirs = there.incoming(change)

    assert isinstance(own, Started)
    assert isinstance(theirs, Started)
    assert _make(there, own)["commands"] == ["x"]
    assert _make(there, theirs)["commands"] == ["true"]
    assert _make(there, theirs)["secrets"] == {"TOKEN": "env:TOKEN"}


def _pull_request(there: DeployedRepository, definition: str) -> Change:
    commit = there.developer.commit("mine", {"delivery.yaml": definition})
    there.developer.push("HEAD:refs/pull/7/head")
    return Change(
        kind="pull_request",
        repository=there.url,
        ref="refs/pull/7/head",
        revision=commit,
        event="opened",
        into="main",
    )


def _make(there: DeployedRepository, started: Started) -> dict[str, object]:
    execution = there.ledger.executions.get(started.execution_id)
    return dict(execution.definition.stages["Build"].actions["make"].with_)
