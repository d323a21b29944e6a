"""Fixtures that tests of several rooms share."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import settings
from psutil import virtual_memory

if TYPE_CHECKING:
    from ecs_shop import EcsShop
    from git_http import GitServer
    from postgresql import Server
    from rooms import ByRoom

MEMORY = Path("/dev/shm")
NEEDED = 8 << 30
"""Bytes that may be free there for tests to use it; they need a tenth."""

# How long an example takes is for the machine to say, not for the test.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="write the pictures of the docs, docs/images, anew",
    )


def pytest_configure() -> None:
    # The folders of tests in memory: a disk is waited for at each commit of a ledger.
    space = os.statvfs(MEMORY) if MEMORY.exists() else None
    free = (
        min(space.f_bavail * space.f_frsize, virtual_memory().available) if space else 0
    )
    if space and free > NEEDED and not space.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "ByRoom | None":
    from rooms import ByRoom

    return ByRoom(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the ledger, artifacts, workspaces and logs of one test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("PREFECT_DELIVERY_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server of our own. It takes seconds to start: ask for it sparingly."""
    from prefect.testing.utilities import prefect_test_harness
    from prefect_database import put_empty_database

    # The harness removes it, after everything else.
    folder = mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
    put_empty_database(Path(folder, "prefect-test.db"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prefect.testing.utilities.mkdtemp", lambda: folder)
        with prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["GitServer"]:
    """A git server on this machine."""
    from git_http import MISSING, GitServer

    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    with GitServer(tmp_path_factory.mktemp("git") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator["Server"]:
    """A PostgreSQL server that tests stop and start."""
    from postgresql import MISSING, postgresql_server

    if MISSING:
        pytest.skip("needs PostgreSQL's server programs and setpriv")
    with postgresql_server() as server:
        server.make_template()
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def new_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes an empty ledger and gives its URL; over either database."""
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        return server.new_ledger
    from prefect_delivery.ledger import Ledger

    template = tmp_path / "empty.db"
    Ledger(f"sqlite:///{template}").close()

    def copied() -> str:
        return f"sqlite:///{shutil.copy(template, tmp_path / f'{uuid4().hex}.db')}"

    return copied


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS on this machine that really runs containers."""
    from ministack import ministack

    with ministack(tmp_path_factory.mktemp("aws") / "ministack") as address:
        yield address


@pytest.fixture
def aws_identity(ministack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a worker finds that AWS: by its environment."""
    from ministack import IDENTITY

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**IDENTITY, "AWS_ENDPOINT_URL": ministack}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("prefect_delivery.blocks.aws_environment.INTERVAL", 0.1)


@pytest.fixture(scope="session")
def ecs_images(ministack: str) -> None:
    """Images for its containers."""
    from ecs_shop import make_images

    make_images()


@pytest.fixture
def ecs_shop(
    aws_identity: None, ecs_images: None, ministack: str, home: Path, tmp_path: Path
) -> Iterator["EcsShop"]:
    """A service of ECS with circuit breaker."""
    from ecs_shop import EcsShop

    shop = EcsShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}", breaker=True)
    yield shop
    shop.end()
