"""A worker that carries out the deployment `orders/staging`, for flows that run it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Machine
from flow_shop import release_of
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import get_current_settings

from prefect_delivery.blocks.prefect_deployment import PrefectDeploymentEnvironment

ORDERS = '''
from time import sleep
from prefect import flow

@flow
def orders(day: str = "sunday") -> None:
    """Count the orders of a day."""
    if day == "never":
        raise ValueError("there is no such day")
    if day == "for ever":
        sleep(600)
'''


@pytest.fixture(scope="session")
def orders(
    prefect_server: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Full name of the deployment."""
    folder = tmp_path_factory.mktemp("orders")
    machine = Machine(folder, get_current_settings().api.url)
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="orders", type="delivery"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_DELIVERY_HOME", str(machine.home))
        release = release_of(folder / "code", {"flows.py": ORDERS})
        environment = PrefectDeploymentEnvironment(
            root=folder / "root",
            deployment="staging",
            pool="orders",
            flows={"orders": {"entrypoint": "flows.py:orders"}},
        )
        environment.prepare(release, 1)
        environment.shift(release, 100, 1)
    try:
        machine.start("deliver", "worker", "orders", folder=folder)
        yield "orders/staging"
    finally:
        machine.switch_off()


@pytest.fixture
def work(home: Path, tmp_path: Path) -> Path:
    """A folder with the source of a small site."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "index.html").write_text("Hello\n")
    (folder / "buildspec.yml").write_text(
        "version: 0.2\n"
        "phases: {build: {commands: [mkdir site, cp index.html site]}}\n"
        "artifacts: {base-directory: site, files: ['**/*']}\n"
    )
    return folder
