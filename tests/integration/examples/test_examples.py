"""What users of the examples see: every commit that is good, and no other."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest
from example import Example

from prefect_delivery import control
from prefect_delivery.engine.state import ActionRun, Execution, Status

SERVICE = ["server.js", "test/server.test.js"]
PACKAGE = ["src/greeting/__init__.py", "tests/test_greeting.py"]


@pytest.mark.parametrize("local", [True, False], ids=["local", "engine"])
def test_the_site_carries_the_revision_of_its_commit(
    static_site: Example, local: bool, request: pytest.FixtureRequest
) -> None:
    if not local:
        request.getfixturevalue("prefect_server")

    ended = static_site.run(local=local)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert (ended.flow_run is None) == local
    site = current(static_site, "production")
    assert {page.name for page in site.iterdir()} == {"contact.html", "index.html"}
    for page in site.iterdir():
        assert f"Revision {static_site.commit[:7]}<" in page.read_text()


def test_a_broken_link_leaves_the_site_as_it_was(static_site: Example) -> None:
    site = current(static_site, "production")
    static_site.run()
    page = (site / "index.html").read_text()
    static_site.push("contact.html", "imprint.html", "pages/index.html")

    ended = static_site.run()

    assert ended.status is Status.FAILED
    assert "index.html -> imprint.html" in (ended.reason or "")
    assert (site / "index.html").read_text() == page


def test_the_next_commit_replaces_the_site_until_somebody_goes_back(
    static_site: Example,
) -> None:
    front = current(static_site, "production") / "index.html"
    static_site.run()
    old = front.read_text()

    static_site.push("Welcome", "Good morning", "pages/index.html")
    static_site.run()
    new = front.read_text()
    back = control.rollback(static_site.ledger, "static-site", "Production", by="ann")
    ended = static_site.go_on(back)

    assert "Welcome" in old and "Good morning" in new
    assert f"Revision {static_site.commit[:7]}<" in new
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert front.read_text() == old


def test_each_commit_goes_to_production_when_somebody_approves(
    node_service: Example,
) -> None:
    first = node_service.commit

    waiting = node_service.run()
    staged = ask(node_service, "staging", "/revision")
    with pytest.raises(httpx.ConnectError):
        ask(node_service, "production", "/revision")
    node_service.approve()
    released = ask(node_service, "production", "/revision")
    node_service.push("world", "whole world", *SERVICE)
    node_service.run()
    ended = node_service.approve()

    assert waiting.status is Status.WAITING, waiting.reason
    assert last(waiting, "Test", "unit").summary == "3 passed"
    assert last(waiting, "Approval", "ask").link == address(node_service, "staging")
    assert (staged, released) == (first, first)
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert ask(node_service, "production", "/revision") == node_service.commit
    assert ask(node_service, "production", "/") == "Hello, whole world!"


def test_a_service_that_fails_the_checks_of_production_is_taken_back(
    node_service: Example,
) -> None:
    good = node_service.commit
    node_service.run()
    node_service.approve()
    node_service.push("world", "moon", *SERVICE)

    node_service.run()
    ended = node_service.approve()

    assert ended.status is Status.FAILED
    assert "does not contain 'world'" in (ended.reason or "")
    assert ask(node_service, "staging", "/revision") == node_service.commit
    assert ask(node_service, "production", "/revision") == good
    assert ask(node_service, "production", "/") == "Hello, world!"


def test_the_wheel_of_each_commit_installs_from_the_released_folder(
    python_package: Example, tmp_path: Path
) -> None:
    folder = current(python_package, "index")

    first = python_package.run()
    first_greeting = installed(folder, tmp_path / "first")
    python_package.push("Hello", "Welcome", *PACKAGE)
    second = python_package.run()
    second_greeting = installed(folder, tmp_path / "second")

    assert (first.status, second.status) == (Status.SUCCEEDED,) * 2, second.reason
    assert last(second, "Test", "unit").summary == "2 passed"
    assert (first_greeting, second_greeting) == ("Hello, Ada!", "Welcome, Ada!")
    assert [file.suffix for file in folder.iterdir()] == [".whl"]


def current(example: Example, environment: str) -> Path:
    """What a web server or pip is pointed to."""
    return example.environment(environment).root / "current"


def address(example: Example, environment: str) -> str:
    found = example.environment(environment).address
    assert found
    return found


def ask(example: Example, environment: str, page: str) -> str:
    """What a visitor gets."""
    url = address(example, environment) + page
    return httpx.get(url, trust_env=False).raise_for_status().text.strip()


def last(execution: Execution, stage: str, action: str) -> ActionRun:
    return execution.stages[stage].actions[action][-1]


def installed(wheels: Path, target: Path) -> str:
    """Install the package from a folder of wheels, and nowhere else; say hello."""
    offline = ["--isolated", "--quiet", "--no-index", "--find-links", str(wheels)]
    install = [*offline, "--target", str(target), "greeting"]
    subprocess.run(["python3", "-m", "pip", "install", *install], check=True)
    said = subprocess.run(
        [target / "bin" / "greeting", "Ada"],
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        check=True,
        text=True,
    )
    return said.stdout.strip()
