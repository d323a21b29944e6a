"""How secrets reach git and ssh."""

import subprocess
from pathlib import Path

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.access import Access
from prefect_delivery.tasks.source.remote import Remote

TOKEN = "t0ken with $(touch x) `touch y` 'quotes' and \\back\\slashes"
OURS = Remote.parse("https://example.org/app.git")


def answer(question: str, environment: dict[str, str]) -> str | None:
    asked = [environment["GIT_ASKPASS"], question]
    done = subprocess.run(
        asked, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else None


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return Access(secret=TOKEN, username="ci").environment(OURS, tmp_path)


def test_the_server_that_was_named_gets_name_and_token(
    environment: dict[str, str],
) -> None:
    username = answer("Username for 'https://example.org': ", environment)
    password = answer("Password for 'https://ci@example.org': ", environment)

    assert username == "ci\n"
    assert password == TOKEN + "\n"


@pytest.mark.parametrize(
    "question",
    [
        "Username for 'https://evil.example': ",
        "Password for 'https://ci@evil.example': ",
        "Password for 'http://ci@example.org': ",
        "Password for 'https://ci@example.org:8443': ",
        "Password for 'https://ci@example.org.evil.example': ",
        "Password for 'https://ci%40example.org@evil.example': ",
        "Enter passphrase for key '/home/ada/.ssh/id_ed25519': ",
    ],
)
def test_no_other_server_gets_the_token(
    question: str, environment: dict[str, str]
) -> None:
    assert answer(question, environment) is None


def test_the_token_is_in_no_file(environment: dict[str, str], tmp_path: Path) -> None:
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert files
    assert all("t0ken" not in path.read_text() for path in files)


def test_a_token_is_not_sent_in_clear_over_a_network(tmp_path: Path) -> None:
    remote = Remote.parse("http://example.org/app.git")

    with pytest.raises(ActionFailed, match="would travel in clear"):
        Access(secret=TOKEN).environment(remote, tmp_path)


def test_a_key_for_ssh_is_readable_by_nobody_else(tmp_path: Path) -> None:
    remote = Remote.parse("git@example.org:app.git")
    access = Access(secret="PRIVATE KEY", known_hosts="example.org ssh-ed25519 AAAA")

    command = access.environment(remote, tmp_path)["GIT_SSH_COMMAND"]

    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in command
    assert "StrictHostKeyChecking=yes" in command
    assert "BatchMode=yes" in command


def test_credentials_are_looked_up_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)

    access = Access.named("env:SHOP_TOKEN", username="ci", known_hosts=None)
    nobody = Access.named(None, username="ci", known_hosts=None)

    assert access.secret == TOKEN
    assert nobody.secret is None
