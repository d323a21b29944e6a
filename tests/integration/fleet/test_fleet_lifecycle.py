"""One host, with the agent as a program of its own as everywhere else."""

import pwd
from pathlib import Path

import pytest
from fleet_work import Fleet
from polling import until
from processes import Child

from prefect_delivery.errors import LeaseLost, RolloutFailed

WHOLE = ("ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart")


def files(fleet: Fleet) -> str:
    return f"files:\n  - {{source: content, destination: {fleet.www}}}\n"


def installed(fleet: Fleet) -> dict[str, str]:
    return {
        str(path.relative_to(fleet.www)): path.read_text()
        for path in sorted(fleet.www.rglob("*"))
        if path.is_file()
    }


def test_events_run_in_order_and_the_stop_is_the_previous_revisions(
    single: Fleet,
) -> None:
    block = single.block()
    single.deploy(block, single.release("one"))
    first = single.events()

    single.deploy(block, single.release("two"))

    started = ["BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]
    assert first == [f"one {event}" for event in started]
    assert single.events() == [
        "one ApplicationStop",
        *(f"two {event}" for event in started),
    ]
    assert block.observe() == single.current() == single.release("two").digest


def test_a_balancer_is_told_and_its_events_run(single: Fleet) -> None:
    log = single.root("host0") / "events"
    block = single.block(
        balancer={
            "block": ["sh", "-c", f"echo block $HOST_NAME >> {log}"],
            "allow": ["sh", "-c", f"echo allow $HOST_NAME >> {log}"],
        }
    )
    single.deploy(block, single.release("one"))
    single.events()

    single.deploy(block, single.release("two"))

    assert single.events() == [
        "one BeforeBlockTraffic",
        "block host0",
        "one AfterBlockTraffic",
        "one ApplicationStop",
        "two BeforeInstall",
        "two AfterInstall",
        "two ApplicationStart",
        "two ValidateService",
        "two BeforeAllowTraffic",
        "allow host0",
        "two AfterAllowTraffic",
    ]


def test_scripts_find_their_variables_and_nothing_of_ours(
    single: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    single.folder.chmod(0o755)
    show = 'env > "$host/env"; id -un > "$host/user"'
    release = single.release("one", scripts={"AfterInstall": show})
    block = single.block(group="web")

    single.deploy(block, release)

    text = (single.root("host0") / "env").read_text()
    variables = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert variables["APPLICATION_NAME"] == "shop"
    assert variables["DEPLOYMENT_GROUP_NAME"] == "web"
    assert variables["DEPLOYMENT_ID"].startswith("d-")
    assert variables["LIFECYCLE_EVENT"] == "AfterInstall"
    assert variables["BUNDLE_COMMIT"] == "commit-one"
    assert not [name for name in variables if name.startswith("PREFECT")]


def test_files_of_the_last_revision_are_replaced_by_those_of_the_next(
    single: Fleet,
) -> None:
    one = {"content/a": "1", "content/deep/b": "1", "content/gone/c": "1"}
    block = single.block()
    single.deploy(block, single.release("one", appspec=files(single), files=one))
    (single.www / "mine").write_text("kept")

    two = {"content/a": "2", "content/deep/b": "2"}
    single.deploy(block, single.release("two", appspec=files(single), files=two))

    assert installed(single) == {"a": "2", "deep/b": "2", "mine": "kept"}
    assert not (single.www / "gone").exists()


@pytest.mark.parametrize(
    ("behavior", "content"), [("OVERWRITE", "ours"), ("RETAIN", "theirs")]
)
@pytest.mark.parametrize("by", ["appspec", "block"])
def test_a_file_that_is_there_is_overwritten_or_retained(
    single: Fleet, behavior: str, content: str, by: str
) -> None:
    single.www.mkdir()
    (single.www / "a").write_text("theirs")
    own = f"file_exists_behavior: {behavior}\n" if by == "appspec" else ""
    block = single.block(file_exists_behavior="DISALLOW" if own else behavior)
    new = {"content/a": "ours"}

    release = single.release("one", appspec=files(single) + own, files=new)
    single.deploy(block, release)

    assert installed(single) == {"a": content}


def test_a_file_that_is_there_stops_the_deployment_and_stays(single: Fleet) -> None:
    single.www.mkdir()
    (single.www / "b").write_text("theirs")
    new = {"content/a": "ours", "content/b": "ours"}
    release = single.release("one", appspec=files(single), files=new)

    with pytest.raises(RolloutFailed, match="www/b exists already"):
        single.deploy(single.block(), release)

    assert installed(single) == {"b": "theirs"}
    assert single.block().observe() is None


def test_permissions_are_set_on_what_they_name(single: Fleet) -> None:
    other = pwd.getpwnam("nobody")
    rules = (
        "permissions:\n"
        f"  - {{object: {single.www}, mode: 0640, type: [file]}}\n"
        f"  - {{object: {single.www}, mode: 0750, type: [directory]}}\n"
        f"  - {{object: {single.www}, pattern: '*.sh', except: [no.sh], mode: 0700}}\n"
        f"  - {{object: {single.www}/deep/x.sh, owner: nobody, mode: 0600}}\n"
    )
    names = ["a.sh", "no.sh", "deep/x.sh", "deep/y"]
    release = single.release(
        "one",
        appspec=files(single) + rules,
        files={f"content/{name}": "" for name in names},
    )

    single.deploy(single.block(), release)

    def mode(name: str) -> str:
        return f"{(single.www / name).stat().st_mode & 0o777:o}"

    assert [mode(name) for name in names] == ["700", "640", "600", "640"]
    assert mode("deep") == "750"
    assert (single.www / "deep/x.sh").stat().st_uid == other.pw_uid


def test_a_failing_release_is_cleaned_up_and_the_previous_deployed_again(
    single: Fleet,
) -> None:
    block = single.block()
    one = single.release("one", appspec=files(single), files={"content/a": "1"})
    single.deploy(block, one)
    single.events()
    two = single.release(
        "two",
        appspec=files(single),
        files={"content/a": "2", "content/b": "2"},
        scripts={"ValidateService": "exit 7"},
    )

    with pytest.raises(RolloutFailed) as caught:
        single.deploy(block, two)

    assert "host0: ValidateService: ValidateService.sh ended with exit code 7" in str(
        caught.value
    )
    assert installed(single) == {"a": "1"}
    assert single.events() == [
        "one ApplicationStop",
        *(f"two {event}" for event in (*WHOLE[1:], "ValidateService")),
        "one ApplicationStop",
        *(f"one {event}" for event in (*WHOLE[1:], "ValidateService")),
    ]
    assert block.observe() == single.current() == one.digest
    revisions = single.root("host0") / "revisions"
    assert [path.name for path in revisions.iterdir()] == [one.digest]


def test_a_first_release_that_fails_leaves_nothing(single: Fleet) -> None:
    release = single.release(
        "one",
        appspec=files(single),
        files={"content/a": "1"},
        scripts={"ApplicationStart": "exit 1"},
    )

    with pytest.raises(RolloutFailed, match="ApplicationStart"):
        single.deploy(single.block(), release)

    assert not single.www.exists()
    assert not any((single.root("host0") / "revisions").iterdir())
    assert single.block().observe() is None


def test_a_script_that_hangs_is_ended(single: Fleet) -> None:
    appspec = "hooks: {AfterInstall: [{location: x.sh, timeout: 1}]}\n"
    body = {"x.sh": "#!/bin/sh\nsleep 1000 & echo $! > ../../../child; wait\n"}
    release = single.release("one", appspec=appspec, files=body, hooks=())

    with pytest.raises(RolloutFailed, match="ran longer than 1 s"):
        single.deploy(single.block(), release)

    child = (single.root("host0") / "child").read_text().strip()
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_failing_stop_may_be_ignored(single: Fleet) -> None:
    one = single.release("one", scripts={"ApplicationStop": "exit 1"})
    single.deploy(single.block(), one)

    with pytest.raises(RolloutFailed, match="ApplicationStop"):
        single.deploy(single.block(), single.release("two"))

    single.ledger.environments.unlock("production", by="me", reason="test")
    block = single.block(ignore_stop_failures=True)
    single.deploy(block, single.release("two"))
    assert block.observe() == single.release("two").digest


def test_a_script_without_a_user_of_that_name_fails(single: Fleet) -> None:
    hook = "hooks: {AfterInstall: [{location: x.sh, runas: no-such-user}]}\n"
    release = single.release("one", appspec=hook, files={"x.sh": "exit 0"}, hooks=())

    with pytest.raises(RolloutFailed, match="there is no user 'no-such-user'"):
        single.deploy(single.block(), release)


def test_an_older_lease_changes_nothing(single: Fleet) -> None:
    block = single.block()
    one, two = single.release("one"), single.release("two")
    block.prepare(one, 2)
    block.shift(one, 100, 2)
    single.events()

    block.prepare(two, 3)
    for verb in (block.prepare, block.commit, block.discard):
        with pytest.raises(LeaseLost):
            verb(one, 2)
    with pytest.raises(LeaseLost):
        block.shift(two, 100, 2)

    assert single.events() == []
    assert block.observe() == one.digest


def test_a_frozen_deployment_is_ended_by_the_next_lease(single: Fleet) -> None:
    block = single.block()
    one = single.release("one")
    hangs = 'echo $$ > "$host/new"; mv "$host/new" "$host/pid"; sleep 1000'
    two = single.release("two", scripts={"AfterInstall": hangs})
    block.prepare(one, 1)
    block.shift(one, 100, 1)
    block.prepare(two, 2)
    frozen = Child(lambda: block.shift(two, 100, 2))
    pid = single.root("host0") / "pid"
    until(pid.exists)
    frozen.stop()

    block.shift(one, 100, 3)
    frozen.go_on()

    assert frozen.wait() == 1
    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
    assert block.observe() == one.digest
