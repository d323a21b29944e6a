"""source/git on a real HTTP server."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from git_http import GitServer
from git_work import Developer, files_of

from prefect_delivery.actions import Job
from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.git import checkout, resolve


@pytest.fixture
def credentials(git_server: GitServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_TOKEN", git_server.password)
    return "env:SHOP_TOKEN"


def test_a_commit_arrives_by_http(
    published: str, git_server: GitServer, tmp_path: Path
) -> None:
    outputs = checkout.fn(git_server.url(published))

    assert files_of(outputs, tmp_path / "out") == {"README": "shop"}


def test_a_private_repository_opens_with_the_token(
    published: str, git_server: GitServer, credentials: str, tmp_path: Path
) -> None:
    url = git_server.url(published, "private")

    outputs = checkout.fn(url, credentials=credentials, username="ci")

    assert files_of(outputs, tmp_path / "out") == {"README": "shop"}
    assert resolve(url, credentials=credentials, username="ci")


def test_the_token_is_nowhere_in_what_is_kept(
    published: str, git_server: GitServer, credentials: str, tmp_path: Path
) -> None:
    url = git_server.url(published, "private")
    log: list[str] = []

    outputs = checkout.fn(
        url,
        credentials=credentials,
        username="ci",
        history=True,
        job=Job(log=log.append),
    )
    (artifact,) = outputs.artifacts.values()
    artifact.unpack(tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]

    assert files
    assert all(git_server.password.encode() not in f.read_bytes() for f in files)
    assert git_server.password not in f"{outputs} {log}"


def test_a_private_repository_without_credentials_asks_for_them(
    published: str, git_server: GitServer
) -> None:
    with pytest.raises(ActionFailed, match="asks for credentials") as failure:
        checkout.fn(git_server.url(published, "private"))

    assert "name a secret in `credentials:`" in str(failure.value)


def test_a_wrong_token_is_refused_and_not_shown(
    published: str, git_server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "wrong-t0ken")
    url = git_server.url(published, "private")

    with pytest.raises(ActionFailed, match="refused the credentials") as failure:
        checkout.fn(url, credentials="env:SHOP_TOKEN", username="ci")

    assert "wrong-t0ken" not in str(failure.value)


def test_one_commit_of_a_long_history_is_fetched(
    published: str, developer: Developer, git_server: GitServer, tmp_path: Path
) -> None:
    for number in range(20):
        developer.commit(f"number {number}", {"a": str(number)})
    developer.push()

    outputs = checkout.fn(git_server.url(published), history=True, depth=5)
    (artifact,) = outputs.artifacts.values()
    artifact.unpack(tmp_path / "out")
    shallow = (tmp_path / "out/.git/shallow").read_text()

    assert shallow.strip() == developer.git("rev-parse", "HEAD~4")


@pytest.mark.parametrize("place", ["public", "old"])
def test_an_older_commit_is_found_by_its_digits(
    place: str,
    published: str,
    developer: Developer,
    git_server: GitServer,
    tmp_path: Path,
) -> None:
    pinned = developer.commit("wanted", {"README": "wanted"})
    developer.commit("newer", {"README": "newer"})
    developer.push()

    outputs = checkout.fn(git_server.url(published, place), job=Job(revision=pinned))

    assert files_of(outputs, tmp_path / "out") == {"README": "wanted"}


def test_after_a_force_push_a_waiting_run_keeps_its_commit_or_says_it_is_gone(
    published: str, developer: Developer, git_server: GitServer, tmp_path: Path
) -> None:
    pinned = developer.commit("wanted", {"README": "wanted"})
    developer.push()
    developer.git("reset", "--quiet", "--hard", "HEAD~1")
    developer.commit("instead", {"README": "instead"})
    developer.push()
    bare = git_server.repositories / f"{published}.git"

    kept = checkout.fn(git_server.url(published), job=Job(revision=pinned))
    Bare(bare).git("gc", "--quiet", "--prune=now")

    assert files_of(kept, tmp_path / "out") == {"README": "wanted"}
    with pytest.raises(ActionFailed, match=f"commit {pinned} is gone from"):
        checkout.fn(git_server.url(published), job=Job(revision=pinned))


class Bare(Developer):
    """A repository of the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("page", "has no default branch\nit shows none at all"),
        ("moved", "redirects to another address"),
        ("broken", "cannot be reached"),
        ("elsewhere", "no repository at"),
    ],
)
def test_an_address_without_a_repository_is_told_by_its_answer(
    place: str, message: str, published: str, git_server: GitServer
) -> None:
    with pytest.raises(ActionFailed, match=message):
        checkout.fn(git_server.url(published, place))


def test_a_web_page_is_never_an_empty_revision(
    published: str, git_server: GitServer
) -> None:
    page = git_server.url(published, "page")

    with pytest.raises(ActionFailed):
        resolve(page)
    with pytest.raises(ActionFailed):
        resolve(page, branch="main")
    with pytest.raises(ActionFailed):
        checkout.fn(page, commit="1" * 40)


def test_a_repository_that_does_not_exist_is_named(git_server: GitServer) -> None:
    url = git_server.url("nothing")

    with pytest.raises(ActionFailed, match=f"no repository at {url}"):
        checkout.fn(url)


def test_a_server_that_is_down_cannot_be_reached() -> None:
    with (
        silent_server() as port,
        pytest.raises(ActionFailed, match="did not answer within"),
    ):
        resolve(f"http://127.0.0.1:{port}/app.git", timeout=0.005)

    with pytest.raises(ActionFailed, match="cannot be reached"):
        resolve(f"http://127.0.0.1:{port}/app.git")


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_submodule_is_brought_when_asked_for(
    published: str, developer: Developer, git_server: GitServer, tmp_path: Path
) -> None:
    library = Developer(tmp_path / "library")
    library.commit("first", {"lib.py": "1"})
    name = f"{published}-library"
    library.git("push", "--quiet", str(git_server.create(name)), "main")
    add_submodule(developer, f"../{name}.git", "lib", git_server.url(name))
    developer.push()
    url = git_server.url(published)

    without = files_of(checkout.fn(url), tmp_path / "without")
    with_it = files_of(checkout.fn(url, submodules=True), tmp_path / "with")

    assert "lib/lib.py" not in without
    assert with_it["lib/lib.py"] == "1"
    assert not any(".git" in Path(name).parts for name in with_it)


def test_a_submodule_on_another_server_does_not_get_the_token(
    published: str,
    developer: Developer,
    git_server: GitServer,
    credentials: str,
    tmp_path: Path,
) -> None:
    with GitServer(tmp_path / "other") as other:
        other.publish(developer.folder, "library")
        theirs = other.url("library", "private")
        add_submodule(developer, theirs, "lib", other.url("library"))
        developer.push()

        with pytest.raises(ActionFailed, match=r"could not read|refused|asks"):
            checkout.fn(
                git_server.url(published, "private"),
                credentials=credentials,
                username=git_server.username,
                submodules=True,
            )
        asked = (tmp_path / "other/access.log").read_text().splitlines()
    users = {line.split()[2] for line in asked if "/private/library.git" in line}

    # The other server even has the same password; it was asked, but never told.
    assert users == {"-"}


def add_submodule(developer: Developer, url: str, path: str, reachable: str) -> None:
    developer.git("submodule", "--quiet", "add", reachable, path)
    developer.git("config", "-f", ".gitmodules", f"submodule.{path}.url", url)
    developer.commit("add a submodule")


def test_a_local_path_is_no_place_for_a_submodule(
    published: str, developer: Developer, git_server: GitServer, tmp_path: Path
) -> None:
    secret = Developer(tmp_path / "secret")
    secret.commit("first", {"secret": "1"})
    name = f"{published}-secret"
    secret.git("push", "--quiet", str(git_server.create(name)), "main")
    add_submodule(developer, str(secret.folder), "lib", git_server.url(name))
    developer.push()

    with pytest.raises(ActionFailed, match="submodule that is not on a server"):
        checkout.fn(git_server.url(published), submodules=True)


def test_the_configuration_of_the_workers_user_is_not_read(
    published: str,
    git_server: GitServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = git_server.url(published)
    (tmp_path / ".gitconfig").write_text(f'[url "/nowhere"]\n  insteadOf = {url}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {tmp_path}/run")

    assert "GIT_DIR" in os.environ
    assert resolve(url)
