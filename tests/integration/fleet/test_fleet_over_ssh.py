"""Hosts behind real ssh servers of this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_work import Fleet, Sshd

from prefect_delivery.blocks.host_service import free_port
from prefect_delivery.errors import RolloutFailed


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "ssh", free_port())
    yield server
    server.stop()


@pytest.fixture
def remote(three: Fleet, sshd: Sshd) -> Fleet:
    """Two hosts behind the ssh server, and this machine."""
    three.addresses = {"host0": sshd.host, "host1": sshd.host}
    return three


def test_a_release_goes_over_ssh_and_back(remote: Fleet) -> None:
    one, two = remote.release("one"), remote.release("two")
    block = remote.block(minimum_healthy="AllAtOnce")
    remote.deploy(block, one)
    remote.deploy(block, two)
    for name in remote.names:
        remote.events(name)

    remote.deploy(block, one, "rollback")

    for name in remote.names:
        assert remote.events(name) == [
            "two ApplicationStop",
            "one BeforeInstall",
            "one AfterInstall",
            "one ApplicationStart",
            "one ValidateService",
        ]
    assert block.observe() == remote.current() == one.digest


def test_names_and_paths_are_never_read_by_a_shell(remote: Fleet) -> None:
    evil = "a b'; touch $(echo owned) #"
    remote.names = ["host0"]
    remote.addresses["host0"]["root"] = str(remote.folder / evil)
    block = remote.block(group=evil)

    remote.deploy(block, remote.release("one"))

    assert block.observe() == remote.current()
    assert (remote.folder / evil / "events").exists()
    assert not list(remote.folder.rglob("owned"))


def test_a_host_with_another_key_gets_nothing(remote: Fleet, sshd: Sshd) -> None:
    known = sshd.folder / "known_hosts"
    own = (sshd.folder / "key.pub").read_text()
    known.write_text(f"[127.0.0.1]:{sshd.port} {own}")

    with pytest.raises(
        RolloutFailed, match="host0 does not answer: Host key is not trusted"
    ):
        remote.deploy(remote.block(), remote.release("one"))

    assert not remote.root("host0").exists()
    assert remote.events("host2") == []
