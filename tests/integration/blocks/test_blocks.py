"""Blocks as Prefect keeps and shows them, and pipelines that use saved ones."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings
from projects import Project

from prefect_delivery import control
from prefect_delivery.blocks import Environment, HostEnvironment, find_environment
from prefect_delivery.blocks.collection import BLOCKS
from prefect_delivery.blocks.environment import ledger_name
from prefect_delivery.blocks.state_change_targets import StateChangeTarget
from prefect_delivery.definition import load
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.engine.state import Execution, Status
from prefect_delivery.flows.run import Watch, run_execution

DEFINITION = """
pipeline: shop
%(environments)s
stages:
  Source: {actions: {app: {uses: source/git, with: {url: %(url)s}}}}
  Approval: {actions: {ask: {uses: approval/manual}}}
  Production:
    actions:
      deploy: {uses: deploy/environment, inputs: app, with: {environment: site}}
"""

TARGETS = [
    name for name, block in BLOCKS.items() if issubclass(block, StateChangeTarget)
]


def run(project: Project, execution: Execution) -> Execution:
    watch = Watch(lambda execution: None, print, stay=False)
    return run_execution(execution.id, watch, local=True, ledger=project.ledger)


def start(project: Project, environments: str = "") -> Execution:
    """Run the pipeline until it waits for the approval."""
    values = {"url": project.folder, "environments": environments}
    execution = control.start(project.ledger, load(DEFINITION % values))
    return run(project, execution)


def approve(project: Project) -> Execution:
    return run(project, control.approve(project.ledger, "shop", by="bob"))


@pytest.fixture
def project(prefect_server: None, home: Path, tmp_path: Path) -> Project:
    return Project.at(tmp_path / "shop")


def test_one_command_registers_every_block(prefect_server: None) -> None:
    prefect = Path(sys.executable).with_name("prefect")
    url = str(get_current_settings().api.url)

    done = subprocess.run(
        [prefect, "block", "register", "-m", "prefect_delivery"],
        env={"PREFECT_API_URL": url, "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    kinds = {f"delivery-{kind}-environment" for kind in Catalogue.load().environments}
    assert kinds <= {block._block_type_slug for block in BLOCKS.values()}
    with get_client(sync_client=True) as client:
        for block in BLOCKS.values():
            known = client.read_block_type_by_slug(str(block._block_type_slug))
            assert known.name == block._block_type_name
            assert known.name in done.stdout
            assert known.logo_url and known.description and known.code_example
            schema: Any = client.get_most_recent_block_schema_for_block_type(known.id)
            form = schema.fields["properties"]
            first = min(form, key=lambda name: form[name]["position"])
            assert first not in Environment.model_fields


def example(name: str) -> dict[str, Any]:
    """What the example of a block leaves."""
    text = BLOCKS[name].get_code_example()
    assert text
    found: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], found)
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_the_example_of_a_target_of_events_works(
    prefect_server: None, name: str
) -> None:
    saved: Block = example(name)["target"]

    assert type(saved) is BLOCKS[name]


@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in TARGETS])
def test_the_example_of_an_environment_works(prefect_server: None, name: str) -> None:
    saved: Block = example(name)["environment"]

    assert type(saved) is BLOCKS[name]
    assert isinstance(saved, Environment)
    inline = find_environment("inline", {"inline": saved.configuration()})
    by_name = find_environment(str(saved._block_document_name))
    assert ledger_name(by_name, "site", "shop") == "site", "the same for all pipelines"
    assert ledger_name(inline, "site", "shop") == "shop/site"
    assert saved.configuration() == by_name.configuration() == inline.configuration()


def test_a_saved_block_and_an_inline_definition_deploy_alike(
    project: Project, tmp_path: Path
) -> None:
    inline, saved = tmp_path / "inline", tmp_path / "saved"
    start(project, f"environments: {{site: {{kind: host, root: {inline}}}}}")
    first = approve(project)
    HostEnvironment(root=saved).save("site", overwrite=True)

    start(project, f"environments: {{site: {{kind: host, root: {inline}}}}}")
    second = approve(project)

    assert (first.status, second.status) == (Status.SUCCEEDED,) * 2, second.reason
    one, other = ((root / "current").resolve() for root in (inline, saved))
    assert {file.name for file in one.iterdir()} == {f.name for f in other.iterdir()}
    assert len([*(inline / "releases").iterdir()]) == 1, "the saved block wins"
    HostEnvironment.delete("site")


def test_a_block_that_is_deleted_while_a_run_waits_can_be_saved_again(
    project: Project, tmp_path: Path
) -> None:
    block = HostEnvironment(root=tmp_path / "site")
    block.save("site", overwrite=True)
    waiting = start(project)
    HostEnvironment.delete("site")

    failed = approve(project)
    block.save("site", overwrite=True)
    again = control.retry(project.ledger, "shop", waiting.number, by="bob")
    ended = run(project, again)

    assert waiting.status is Status.WAITING, waiting.reason
    assert failed.status is Status.FAILED
    assert "there is no environment 'site'" in (failed.reason or "")
    assert ended.id == failed.id
    assert ended.status is Status.SUCCEEDED, ended.reason
    assert len(ended.stages["Approval"].actions["ask"]) == 1, "nobody is asked again"
    assert (tmp_path / "site/current").is_dir()
    HostEnvironment.delete("site")
