"""What users of the examples see: every commit that is good, and no other."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest
from example import Example

from prefect_delivery import control
from prefect_delivery.engine.state import ActionRun, Execution, Status


@pytest.mark.parametrize("local", [True, False], ids=["local", "engine"])
def test_the_site_carries_the_revision_of_each_commit(
    static_site: Example, local: bool, request: pytest.FixtureRequest
) -> None:
    if not local:
        request.getfixturevalue("prefect_server")
    site = current(static_site, "production")

    first = static_site.run(local=local)
    first_page, first_commit = (site / "index.html").read_text(), static_site.commit
    static_site.push("Welcome", "Good morning", "pages/index.html")
    second = static_site.run(local=local)
    second_page, second_commit = (site / "index.html").read_text(), static_site.commit

    assert (first.status, second.status) == (Status.SUCCEEDED,) * 2, second.reason
    assert {first.flow_run is None, second.flow_run is None} == {local}
    assert f"Revision {first_commit[:7]}<" in first_page
    assert f"Revision {second_commit[:7]}<" in second_page
    assert "Welcome" in first_page and "Good morning" in second_page
    assert {page.name for page in site.iterdir()} == {"contact.html", "index.html"}


def test_a_broken_link_leaves_the_site_as_it_was(static_site: Example) -> None:
    site = current(static_site, "production")
    static_site.run()
    page = (site / "index.html").read_text()
    static_site.push("contact.html", "imprint.html", "pages/index.html")

    ended = static_site.run()

    assert ended.status is Status.FAILED
    assert "index.html -> imprint.html" in (ended.reason or "")
    assert (site / "index.html").read_text() == page


def test_the_site_goes_back_to_the_release_before(static_site: Example) -> None:
    site = current(static_site, "production")
    static_site.run()
    page = (site / "index.html").read_text()
    static_site.push("Welcome", "Good morning", "pages/index.html")
    static_site.run()

    back = control.rollback(static_site.ledger, "static-site", "Production", by="ann")
    ended = static_site.go_on(back)

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert (site / "index.html").read_text() == page


def test_the_service_goes_to_production_when_somebody_approves(
    node_service: Example,
) -> None:
    commit = node_service.commit

    waiting = node_service.run()
    staged = ask(node_service, "staging", "/revision")
    with pytest.raises(httpx.ConnectError):
        ask(node_service, "production", "/revision")
    ended = node_service.approve()

    assert waiting.status is Status.WAITING, waiting.reason
    assert last(waiting, "Test", "unit").summary == "3 passed"
    assert last(waiting, "Approval", "ask").link == address(node_service, "staging")
    assert staged == commit
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert ask(node_service, "production", "/revision") == commit
    assert ask(node_service, "production", "/") == "Hello, world!"


def test_a_second_commit_replaces_the_service(node_service: Example) -> None:
    sources = ["server.js", "test/server.test.js"]
    node_service.run()
    node_service.approve()
    node_service.push("world", "whole world", *sources)

    node_service.run()
    ended = node_service.approve()

    assert ended.status is Status.SUCCEEDED, ended.reason
    assert ask(node_service, "production", "/revision") == node_service.commit
    assert ask(node_service, "production", "/") == "Hello, whole world!"


def test_a_service_that_fails_the_checks_of_production_is_taken_back(
    node_service: Example,
) -> None:
    good = node_service.commit
    node_service.run()
    node_service.approve()
    node_service.push("world", "moon", "server.js", "test/server.test.js")

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
    files = ["src/greeting/__init__.py", "tests/test_greeting.py"]

    first = python_package.run()
    first_greeting = installed(folder, tmp_path / "first")
    python_package.push("Hello", "Welcome", *files)
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
