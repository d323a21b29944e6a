"""Another package brings an action and a kind of environment by entry points."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
"""Ship things."""
from prefect.blocks.core import Block
from prefect_delivery.actions import Artifact, Outputs, action

print("imported")


@action("acme/ship", variables={"tracking": "Number of the parcel."})
def ship(parcel: Artifact, street: str, *, express: bool = False) -> Outputs:
    """Ship a parcel.

    Args:
        parcel: What is shipped.
        street: Where to.
    """
    return Outputs()


class DoorEnvironment(Block):
    """A door."""

    _block_type_slug = "delivery-door-environment"

    bell: int
'''

ENTRY_POINTS = """\
[prefect_delivery.actions]
acme.ship = acme_delivery:ship
acme.broken = acme_broken:nothing

[prefect_delivery.environments]
door = acme_delivery:DoorEnvironment
"""

DEFINITION = """\
pipeline: parcels
stages:
  Source: {actions: {app: {uses: source/git, with: {url: "."}}}}
  Ship:
    actions:
      parcel: {uses: acme/ship, with: {street: Elm}}
      label:
        uses: build/commands
        run_order: 2
        with: {commands: [x], environment: {N: "#{parcel.tracking}"}}
"""

LOAD = """
import json, sys
from prefect_delivery.definition import load
from prefect_delivery.errors import DefinitionError
try:
    print(json.dumps(load(sys.stdin.read()).snapshot()))
except DefinitionError as error:
    print(error)
"""

RUN = """
from prefect_delivery.registry import task_of
print(task_of("acme/ship").name)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    (tmp_path / "acme_delivery.py").write_text(MODULE)
    info = tmp_path / "acme_delivery-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return tmp_path


def python(script: str, path: Path, text: str = "") -> str:
    code = f"import sys; sys.path.insert(0, {str(path)!r})\n{script}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_action_is_used_like_one_of_ours(plugin: Path) -> None:
    imported, snapshot = python(LOAD, plugin, DEFINITION).splitlines()

    assert imported == "imported"
    parcel = json.loads(snapshot)["stages"]["Ship"]["actions"]["parcel"]
    assert parcel["inputs"] == {"parcel": "app"}


def test_its_configuration_and_variables_are_checked(plugin: Path) -> None:
    text = DEFINITION.replace("street: Elm", "street: 7").replace(".tracking", ".track")

    answer = python(LOAD, plugin, text)

    assert "'street' must be text, not a number; write \"7\" in quotes" in answer
    assert "no variable #{parcel.track}; did you mean 'tracking'?" in answer
    assert "see: deliver schema acme/ship" in answer


def test_its_environment_is_checked(plugin: Path) -> None:
    text = "environments: {front: {kind: door, bell: loud}}\n" + DEFINITION

    assert "'bell' must be a whole number, not text" in python(LOAD, plugin, text)


def test_it_is_not_imported_unless_used(plugin: Path) -> None:
    text = DEFINITION.replace("acme/ship, with: {street: Elm}", "approval/manual")

    answer = python(LOAD, plugin, text.replace("#{parcel.tracking}", "x"))

    assert answer.splitlines()[0].startswith('{"pipeline"')


def test_a_misspelt_name_finds_it(plugin: Path) -> None:
    answer = python(LOAD, plugin, DEFINITION.replace("acme/ship", "acme/shp"))

    assert "unknown action 'acme/shp' in action 'Ship / parcel'" in answer
    assert "did you mean 'acme/ship'?" in answer


def test_one_that_cannot_be_imported_is_a_problem_of_the_definition(
    plugin: Path,
) -> None:
    answer = python(LOAD, plugin, DEFINITION.replace("acme/ship", "acme/broken"))

    assert "action 'acme/broken' cannot be loaded: ModuleNotFoundError" in answer


def test_its_task_is_found_for_the_run(plugin: Path) -> None:
    assert python(RUN, plugin).splitlines() == ["imported", "acme/ship"]
