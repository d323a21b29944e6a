"""Which addresses of repositories are accepted."""

from pathlib import Path

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.remote import Remote


@pytest.mark.parametrize(
    ("url", "transport", "host"),
    [
        ("https://example.org/o/app.git", "https", "example.org"),
        ("HTTPS://example.org:8443/o/app", "https", "example.org:8443"),
        ("http://127.0.0.1:8080/app.git", "http", "127.0.0.1:8080"),
        ("http://[::1]:8080/app.git", "http", "[::1]:8080"),
        ("ssh://git@example.org:2222/o/app.git", "ssh", "example.org:2222"),
        ("git@example.org:o/app.git", "ssh", "example.org"),
        ("example.org:o/app.git", "ssh", "example.org"),
        ("git@[::1]:o/app.git", "ssh", "[::1]"),
    ],
)
def test_an_address_says_how_and_whom_to_ask(
    url: str, transport: str, host: str
) -> None:
    remote = Remote.parse(url)

    assert (remote.transport, remote.host) == (transport, host)
    assert remote.url == url.replace("HTTPS", "https")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-",
        "--upload-pack=touch x",
        "-oProxyCommand=touch x",
        "ext::sh -c touch% x",
        "ext::ssh://example.org/app",
        "fd::17/app",
        "transport-helper::https://example.org/app",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-oProxyCommand=touch@example.org/x",
        "ssh:///app",
        "https:///app",
        "https://-example.org/app",
        "-oProxyCommand=touch@example.org:app",
        "git@-oProxyCommand=touch:app",
        "git@example.org:--upload-pack=touch",
        "git://example.org/app",
        "ftp://example.org/app",
        "gopher://example.org/app",
        "file://example.org/app",
        "javascript://example.org/app",
        "https://example.org/app\n",
        "https://example.org/\x00app",
        "https://example.org/\x1b[2Japp",
        "app\nrepository",
    ],
)
def test_an_address_that_git_or_ssh_could_take_for_a_command_is_refused(
    url: str,
) -> None:
    with pytest.raises(ActionFailed, match="is not the address of a git repository"):
        Remote.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:s3cret-t0ken@example.org/app",
        "https://s3cret-t0ken@example.org/app",
        "http://:s3cret-t0ken@example.org/app",
        "ssh://git:s3cret-t0ken@example.org/app",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ActionFailed, match="holds credentials") as refusal:
        Remote.parse(url)

    assert "s3cret-t0ken" not in str(refusal.value)
    assert "credentials:" in str(refusal.value)


def test_what_is_no_url_is_named_as_such() -> None:
    with pytest.raises(ActionFailed, match=r"https://example\.org:port/ is not a URL"):
        Remote.parse("https://example.org:port/")


def test_a_token_travels_in_clear_only_on_this_machine() -> None:
    here = Remote.parse("http://127.0.0.1:8080/app")
    there = Remote.parse("http://example.org/app")
    safely = Remote.parse("https://example.org/app")

    assert here.guards_secrets
    assert not there.guards_secrets
    assert safely.guards_secrets


def test_a_folder_is_a_repository_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    remotes = [
        Remote.parse(text) for text in ("app", "./app", f"file://{tmp_path}/app")
    ]

    assert {remote.url for remote in remotes} == {str(tmp_path / "app")}
    assert {remote.transport for remote in remotes} == {"file"}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="there is no such folder"):
        Remote.parse(str(tmp_path / "nothing"))


def test_a_folder_within_a_repository_points_to_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "docs").mkdir()

    with pytest.raises(ActionFailed) as refusal:
        Remote.parse(str(tmp_path / "docs"))

    assert f"it is a folder of the repository {tmp_path}" in str(refusal.value)
