"""The example that delivers Prefect flows, by the commands of its README."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import Machine
from example import EXAMPLES
from git_work import Developer
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import ArtifactSort
from prefect.settings import get_current_settings

EXAMPLE = EXAMPLES / "prefect-flows"


@pytest.fixture
def prefect(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def machine(prefect_server: None, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose Python is that of the tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    made = Machine(tmp_path, get_current_settings().api.url, {"PATH": path})
    yield made
    made.switch_off()


@pytest.fixture
def project(machine: Machine) -> Developer:
    """The example, copied and committed as its README says."""
    developer = Developer(machine.folder / "project")
    files = {
        path.name: path.read_text() for path in EXAMPLE.iterdir() if path.is_file()
    }
    developer.commit("First version", files)
    return developer


def commands() -> list[list[str]]:
    """The commands of each console block of the README."""
    blocks = re.findall(
        r"```console\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL
    )
    return [[line.removeprefix("$ ") for line in each.splitlines()] for each in blocks]


def follow(machine: Machine, folder: Path, lines: list[str]) -> None:
    for line in lines:
        command = shlex.split(line.removesuffix(" &"))
        if line.endswith("&"):
            machine.start(*command, folder=folder, log=f"worker-{command[-1]}")
            continue
        done = machine.call(*command, folder=folder)
        # A run that leaves a decision open says so by its exit code.
        expected = 5 if "--no-wait-approval" in command else 0
        assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"


def reported(prefect: SyncPrefectClient) -> str:
    """What the newest run of the flow has published."""
    (artifact, *_) = prefect.read_artifacts(
        artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["sales-report"])),
        sort=ArtifactSort.CREATED_DESC,
    )
    return str(artifact.data)


def deployment(
    prefect: SyncPrefectClient, flow: str, name: str = "production"
) -> DeploymentResponse:
    return prefect.read_deployment_by_name(f"{flow}/{name}")


@pytest.mark.timeout(600)  # some fifteen programs start one after the other
def test_flows_are_promoted_and_go_back_to_the_code_before(
    machine: Machine, project: Developer, prefect: SyncPrefectClient
) -> None:
    forward, back = commands()

    follow(machine, project.folder, forward)

    first = deployment(prefect, "sales-report")
    assert reported(prefect) == "Sold for 14 USD"
    (smoke,) = [
        run
        for run in prefect.read_flow_runs()
        if run.deployment_id == deployment(prefect, "price-check", "staging").id
    ]
    assert smoke.state_name == "Completed"
    assert (
        smoke.deployment_version
        == deployment(prefect, "price-check", "staging").version
    )
    assert first.description == "Show what was sold, as an artifact."
    form = first.parameter_openapi_schema
    assert form and form["properties"]["currency"]["default"] == "EUR"
    assert [each.slug for each in first.schedules] == ["0-6-x-x-1-5-europe-athens"]

    sales = (EXAMPLE / "sales.py").read_text().replace('"pears": 2', '"pears": 4')
    tests = (EXAMPLE / "test_flows.py").read_text().replace("14", "22")
    project.commit("More pears", {"sales.py": sales, "test_flows.py": tests})
    follow(machine, project.folder, forward[4:6])

    second = deployment(prefect, "sales-report")
    assert second.id == first.id
    assert second.version != first.version

    follow(machine, project.folder, back)

    third = deployment(prefect, "sales-report")
    assert reported(prefect) == "Sold for 14 USD"
    assert (third.version, third.pull_steps) == (first.version, first.pull_steps)
    assert deployment(prefect, "price-check").version == first.version
