"""Releases going into this machine, and coming back when something is wrong."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from host_shop import SERVICE, Shop, ask, processes_of, stop_everything

from prefect_delivery.blocks import Hooks, HostEnvironment, HttpCheck
from prefect_delivery.blocks.host_proxy import Proxy
from prefect_delivery.errors import Refused, RolloutFailed
from prefect_delivery.rollout import Canary, CanaryStep

MakeHost = Callable[..., HostEnvironment]
RollOut = Callable[..., object]


def test_the_first_release_serves_at_the_public_port(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    one = shop.release("one")

    into(host, one)

    assert ask(host) == "one"
    assert host.observe() == one.digest == shop.current()


def test_the_next_release_takes_over_and_the_old_service_ends(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    one, two = shop.release("one"), shop.release("two")
    into(host, one)

    into(host, two)

    assert ask(host) == "two"
    assert host.observe() == two.digest == shop.current()
    assert [p for p in processes_of(host.root) if one.digest in p] == []


def test_a_static_site_is_switched_by_its_link(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    site, one, two = make_host(service=None), shop.release("one"), shop.release("two")
    into(site, one)

    into(site, two)

    assert (site.root / "current" / "version").read_text() == "two"
    assert site.observe() == two.digest == shop.current()


def test_a_service_that_ends_at_once_is_undone_and_its_last_words_are_told(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    one, broken = shop.release("one"), shop.release("two", "broken")
    into(host, one)

    with pytest.raises(RolloutFailed, match=r"code 3 before") as failure:
        into(host, broken)

    assert "cannot find the database" in str(failure.value)
    assert failure.value.serving == one.digest == host.observe() == shop.current()
    assert ask(host) == "one"
    assert not host.folder_of(broken).exists()


def test_a_service_that_never_listens_is_given_up(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    impatient = {**SERVICE, "ready": {"path": "/", "timeout": 0.3}}
    host = make_host(service=impatient)

    with pytest.raises(RolloutFailed, match=r"not ready after 0\.3 s"):
        into(host, shop.release("one", "deaf"))

    assert host.observe() is None
    assert processes_of(host.root) == []


def test_a_command_that_does_not_exist_is_named(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host(service={"command": ["no-such-server"]})

    with pytest.raises(RolloutFailed, match="no-such-server: No such file"):
        into(host, shop.release("one"))


def test_a_first_release_that_fails_leaves_nothing_behind(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    with pytest.raises(RolloutFailed, match="production runs no release"):
        into(host, shop.release("one", "broken"))

    assert host.observe() is None
    assert processes_of(host.root) == []
    assert not (host.root / "current").exists()


def test_a_service_that_dies_while_it_bakes_is_undone(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host(bake=0.02)
    into(host, shop.release("one"))

    with pytest.raises(RolloutFailed, match="ended with code 9"):
        into(host, shop.release("two", "mortal"))

    assert ask(host) == "one"


def test_a_release_that_fails_its_check_gets_no_traffic(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    check = HttpCheck(url="/health", contains="one", attempts=1)
    host = make_host(checks=[check], strategy="blue-green")
    into(host, shop.release("one"))

    with pytest.raises(RolloutFailed, match="does not contain 'one'") as failure:
        into(host, shop.release("two"))

    steps = shop.ledger.rollouts.history(shop.environment)[0].steps
    assert "shift" not in [step.verb for step in steps]
    assert ask(host) == "one"
    assert failure.value.serving == shop.current()


def test_a_check_names_the_status_that_it_got(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    service = {**SERVICE, "ready": {}}
    host = make_host(checks=[HttpCheck(url="/health", attempts=1)], service=service)

    with pytest.raises(RolloutFailed, match="status 503, not 200"):
        into(host, shop.release("one", "sick"))


def test_a_port_that_is_taken_is_named(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    taken = pytest.raises(RolloutFailed, match=f"port {host.port} .* in use")

    with socket.create_server(("127.0.0.1", host.port or 0)), taken:
        into(host, shop.release("one"))


def test_a_rollback_brings_an_earlier_release_back(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    one, two = shop.release("one"), shop.release("two")
    into(host, one)
    into(host, two)

    into(host, one, kind="rollback")

    assert ask(host) == "one"
    assert host.observe() == one.digest == shop.current()


def test_earlier_releases_are_removed_but_never_the_one_before(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host(service=None, keep=1)
    releases = [shop.release(version) for version in ("one", "two", "three")]

    for release in releases:
        into(host, release)

    assert {folder.name for folder in (host.root / "releases").iterdir()} == {
        release.digest for release in releases[1:]
    }


def test_a_release_that_was_removed_is_unpacked_again_to_go_back(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host(service=None, keep=1)
    releases = [shop.release(version) for version in ("one", "two", "three")]
    for release in releases:
        into(host, release)

    into(host, releases[0], kind="rollback")

    assert (host.root / "current" / "version").read_text() == "one"


def test_hooks_find_the_release_and_run_in_its_folder(
    shop: Shop, make_host: MakeHost, into: RollOut, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    note = f'echo "$1 $RELEASE $ENVIRONMENT $VARIABLE_VERSION $(cat version)" >> {told}'
    hooks = Hooks(before=[note.replace("$1", "before")], after=["test -f server.py"])
    one = shop.release("one")

    into(make_host(service=None, hooks=hooks), one)

    assert told.read_text() == f"before {one.digest} production one one\n"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_hook_that_fails_undoes_the_rollout(
    shop: Shop, make_host: MakeHost, into: RollOut, tmp_path: Path, when: str
) -> None:
    into(make_host(service=None), shop.release("one"))
    undone = tmp_path / "undone"
    hooks = Hooks.model_validate({when: ["exit 7"], "on_rollback": [f"touch {undone}"]})

    with pytest.raises(RolloutFailed, match=r"hook 'exit 7': .* exit code 7"):
        into(make_host(service=None, hooks=hooks), shop.release("two"))

    assert make_host(service=None).observe() == shop.current()
    assert undone.exists()


def test_a_hook_that_hangs_is_ended(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    hooks = Hooks(before=["sleep 1000"], timeout=0.005)

    with pytest.raises(RolloutFailed, match="did not end within"):
        into(make_host(service=None, hooks=hooks), shop.release("one"))


def test_a_rollout_that_is_cancelled_while_it_is_watched_is_undone(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    host = make_host(bake=60)
    into(make_host(), shop.release("one"))
    cancelled = threading.Event()

    def cancel_when_watching(line: str) -> None:
        if line.startswith("watch"):
            cancelled.set()

    with pytest.raises(RolloutFailed, match="stopped"):
        into(host, shop.release("two"), cancelled=cancelled, log=cancel_when_watching)

    assert make_host().observe() == shop.current()


def test_an_environment_that_cannot_go_back_is_locked_until_a_person_has_looked(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    two = shop.release("two")
    into(make_host(service=None), shop.release("one"))
    hooks = Hooks(before=["false"], on_rollback=["false"])

    with pytest.raises(RolloutFailed, match="going back failed as well"):
        into(make_host(service=None, hooks=hooks), two)
    with pytest.raises(Refused, match="locked"):
        into(make_host(service=None), two)
    shop.ledger.environments.unlock(shop.environment, by="ann", reason="hook mended")
    into(make_host(service=None), two)

    assert make_host(service=None).observe() == two.digest == shop.current()


def test_a_release_that_serves_already_is_only_recorded(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    one = shop.release("one")
    into(host, one)
    before = processes_of(host.root)

    into(host, one)

    assert processes_of(host.root) == before
    again, first = shop.ledger.rollouts.history(shop.environment)
    assert (again.status, again.steps) == ("committed", ())
    assert first.steps


def test_a_release_whose_service_is_gone_is_brought_back_by_its_rollout(
    shop: Shop, host: HostEnvironment, into: RollOut
) -> None:
    one = shop.release("one")
    into(host, one)
    stop_everything(host)
    assert host.observe() is None

    into(host, one)

    assert ask(host) == "one"
    assert host.observe() == one.digest


def test_a_damaged_artifact_changes_nothing(
    shop: Shop, make_host: MakeHost, into: RollOut, home: Path
) -> None:
    host = make_host(service=None)
    into(host, shop.release("one"))
    two = shop.release("two")
    for stored in (home / "artifacts").rglob("*"):
        if stored.is_file() and b"two" in stored.read_bytes():
            stored.chmod(0o600)
            stored.write_bytes(stored.read_bytes().replace(b"two", b"owt"))

    with pytest.raises(RolloutFailed, match="cannot be used"):
        into(host, two)

    assert host.observe() == shop.current()


def test_a_canary_gets_its_share_of_the_traffic(
    shop: Shop, proxied: HostEnvironment, make_host: MakeHost, into: RollOut
) -> None:
    strategy = Canary(canary=[CanaryStep(percent=20, pause=0.01)])
    host = make_host(port=proxied.port, strategy=strategy)
    into(host, shop.release("one"))
    answers: list[str] = []

    def ask_while_watching(line: str) -> None:
        if line.startswith("watch"):
            answers.extend(ask(host) for _ in range(100))

    into(host, shop.release("two"), log=ask_while_watching)

    assert len(answers) == 100
    assert 15 <= answers.count("two") <= 25


def test_a_long_folder_name_does_not_matter_to_haproxy(
    shop: Shop, proxied: HostEnvironment, into: RollOut, tmp_path: Path
) -> None:
    deep = proxied.model_copy(update={"root": tmp_path / ("deep" * 40)})

    try:
        into(deep, shop.release("one"))

        assert ask(deep) == "one"
    finally:
        stop_everything(deep)


def test_haproxy_installed_later_takes_the_port_over(
    shop: Shop,
    proxied: HostEnvironment,
    into: RollOut,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", "/usr/bin:/bin")
        without.setattr(Proxy, "folders", "")
        into(proxied, shop.release("one"))

    into(proxied, shop.release("two"))

    assert ask(proxied) == "two"
    assert proxied.observe() == shop.current()


def test_the_log_tells_each_step(
    shop: Shop, make_host: MakeHost, into: RollOut
) -> None:
    lines: list[str] = []

    into(make_host(service=None), shop.release("one"), log=lines.append)

    assert [line.split()[0] for line in lines] == [
        *("prepare", "before", "shift", "verify", "after", "commit")
    ]
