"""The commands, as a person types them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import warm_commands

from tests.unit.codepipeline.conftest import deploy, kind, pipeline

Deliver = Callable[..., "subprocess.CompletedProcess[str]"]
NOBODY = deploy(actionTypeId=kind("Test", "Nobody", "ThirdParty"), configuration={})


@pytest.fixture
def deliver(tmp_path: Path) -> Deliver:
    """The command in a folder with a declaration of which one action is missing."""
    (tmp_path / "shop.json").write_text(json.dumps({"pipeline": pipeline(NOBODY)}))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        home = {"PREFECT_DELIVERY_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
        return warm_commands.deliver(words, cwd=tmp_path, env=home)

    return run


def test_a_pipeline_goes_in_and_comes_out_again(
    deliver: Deliver, tmp_path: Path
) -> None:
    told = deliver("import", "shop.json", "-o", "delivery.yaml")
    again = deliver("import", "shop.json", "-o", "delivery.yaml")

    assert "'test/nobody'" in told.stderr
    assert told.stdout.startswith("wrote delivery.yaml (shop, 2 stages)\n")
    assert (again.returncode, "already there" in again.stderr) == (1, True)
    assert deliver("plan").stdout == deliver("plan", "shop.json").stdout != ""
    assert deliver("graph", "shop.json").stdout == "Source(Source) ── Release(Site)\n"
    assert json.loads(deliver("export").stdout) == json.loads(
        (tmp_path / "shop.json").read_text()
    )


def test_a_run_of_what_is_not_installed_is_refused(
    deliver: Deliver, tmp_path: Path
) -> None:
    done = deliver("run", "--local", "shop.json")

    assert done.returncode == 1
    assert "which is not installed here" in done.stderr


def test_files_of_every_kind_are_told_apart(deliver: Deliver, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text("version: 0.0\nos: linux\n")
    (tmp_path / "odd.json").write_text('{"jobs": []}')
    (tmp_path / "wrong.json").write_text('{"pipeline": {"name": "x"}}')

    done = deliver("validate", "shop.json", "odd.json", "wrong.json", "-o", "json")

    kinds = [(each["kind"], each["ok"]) for each in json.loads(done.stdout)]
    assert kinds == [
        ("CodePipeline declaration", True),
        ("file of another kind", False),
        ("CodePipeline declaration", False),
    ]
    assert done.returncode == 2
    assert deliver("validate", "appspec.yml").stdout.startswith("ok: appspec")


def test_a_project_begins_with_what_it_had(deliver: Deliver, tmp_path: Path) -> None:
    done = deliver("init", "new", "--from-codepipeline", "shop.json")

    assert done.returncode == 0, done.stderr
    assert deliver("validate", "new/delivery.yaml").returncode == 0
