"""source/git on a real ssh server."""

from collections.abc import Iterator
from pathlib import Path

import git_ssh
import pytest
from git_ssh import SshServer
from git_work import Developer, files_of

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.git import checkout, resolve


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if git_ssh.MISSING:
        pytest.skip(f"not installed: {', '.join(git_ssh.MISSING)}")
    with SshServer(tmp_path_factory.mktemp("ssh") / "server") as server:
        yield server


@pytest.fixture
def key(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DEPLOY_KEY", ssh_server.key)
    return "env:DEPLOY_KEY"


def test_a_commit_arrives_by_ssh_with_a_deploy_key(
    ssh_server: SshServer, key: str, developer: Developer, tmp_path: Path
) -> None:
    developer.commit("first", {"README": "shop"})

    outputs = checkout.fn(
        ssh_server.url(developer.folder),
        credentials=key,
        known_hosts=ssh_server.known_hosts,
    )

    assert files_of(outputs, tmp_path / "out") == {"README": "shop"}


def test_an_unknown_host_is_refused(
    ssh_server: SshServer, key: str, developer: Developer
) -> None:
    developer.commit()

    with pytest.raises(ActionFailed, match=r"host key of .* is unknown") as refusal:
        resolve(ssh_server.url(developer.folder), credentials=key, known_hosts="")

    assert "known_hosts:" in str(refusal.value)


def test_a_changed_host_key_is_refused(
    ssh_server: SshServer, key: str, developer: Developer
) -> None:
    developer.commit()
    public = (ssh_server.root / "stranger.pub").read_text()
    before = f"[127.0.0.1]:{ssh_server.port} {public}"

    with pytest.raises(ActionFailed, match="unknown or has changed"):
        resolve(ssh_server.url(developer.folder), credentials=key, known_hosts=before)


def test_another_key_is_refused(
    ssh_server: SshServer, developer: Developer, monkeypatch: pytest.MonkeyPatch
) -> None:
    developer.commit()
    monkeypatch.setenv("DEPLOY_KEY", ssh_server.stranger)

    with pytest.raises(ActionFailed, match="refused the credentials"):
        resolve(
            ssh_server.url(developer.folder),
            credentials="env:DEPLOY_KEY",
            known_hosts=ssh_server.known_hosts,
        )


def test_a_repository_that_does_not_exist_is_named(
    ssh_server: SshServer, key: str, tmp_path: Path
) -> None:
    url = ssh_server.url(tmp_path / "nothing")

    with pytest.raises(ActionFailed, match="no repository at ssh://"):
        resolve(url, credentials=key, known_hosts=ssh_server.known_hosts)


def test_a_path_with_shell_characters_is_a_path(
    ssh_server: SshServer, key: str, tmp_path: Path
) -> None:
    developer = Developer(tmp_path / "a $(touch run) 'b';touch run")
    commit = developer.commit()

    found = resolve(
        ssh_server.url(developer.folder),
        credentials=key,
        known_hosts=ssh_server.known_hosts,
    )

    assert found == commit
    assert not list(tmp_path.rglob("run"))
