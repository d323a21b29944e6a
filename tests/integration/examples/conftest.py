"""The examples, published on a git server; what runs for them ends with the test."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from example import Example
from git_http import GitServer

from prefect_delivery.process import clean_environment

Publish = Callable[[str], Example]


@pytest.fixture
def publish(home: Path, tmp_path: Path, git_server: GitServer) -> Iterator[Publish]:
    """Publishes an example, and stops its services in the end."""
    published: list[Example] = []

    def publish_it(name: str) -> Example:
        published.append(Example(name, git_server, tmp_path))
        return published[-1]

    yield publish_it
    for example in published:
        example.shut_down()


@pytest.fixture
def static_site(publish: Publish) -> Example:
    return publish("static-site")


@pytest.fixture
def node_service(publish: Publish) -> Example:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    return publish("node-service")


@pytest.fixture
def python_package(publish: Publish, package_registry: None) -> Example:
    return publish("python-package")


@pytest.fixture(scope="session")
def package_registry() -> None:
    """What pip of this machine installs from, asked as the example's commands ask."""
    asked = subprocess.run(
        ["python3", "-m", "pip", *_REACH, "setuptools"],
        env=clean_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["pip failed"])[-1]
        pytest.skip(f"pip reaches no package registry: {last}")


_REACH = (
    *("--retries", "0", "--timeout", "10"),
    *("install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"),
)
