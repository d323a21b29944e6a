"""The files of a team's installation agree with each other and are well formed."""

import json
import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
from prefect_docker.worker import DockerWorker  # type: ignore[import-untyped]
from ruamel.yaml import YAML

TEAM = Path(__file__).parents[3] / "deployments" / "team"
ONLY_PLAIN = {"PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"}


@pytest.fixture
def compose() -> Any:
    return YAML(typ="safe").load((TEAM / "docker-compose.yml").read_text())


def test_compose_and_plain_processes_run_the_same(compose: Any) -> None:
    parser = RawConfigParser(inline_comment_prefixes=None)
    parser.read(TEAM / "supervisord.conf")
    programs = {
        name.removeprefix("program:")
        for name in parser.sections()
        if name.startswith("program:")
    }

    services = set(compose["services"]) - {"database", "messages", "migrate"}

    assert {re.sub(r"^(worker)-\d$", r"\1", name) for name in services} == programs


def test_an_image_and_plain_processes_get_the_same_settings(compose: Any) -> None:
    names = r"\b(PREFECT_\w+)="
    plain = set(re.findall(names, (TEAM / "processes.env.example").read_text()))
    image = set(re.findall(names, (TEAM / "Dockerfile").read_text()))
    given = compose["x-delivery"]["environment"]

    assert image | {n for n in given if n.startswith("PREFECT")} == plain - ONLY_PLAIN


def test_compose_understands_its_file(tmp_path: Path) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("needs docker-compose")
    folder = tmp_path / "deployments" / "team"
    shutil.copytree(TEAM, folder)
    example = (TEAM / ".env.example").read_text()

    refused, taken = (
        _config(folder, example.replace("DATABASE_PASSWORD=", f"DATABASE_PASSWORD={p}"))
        for p in ("", "secret")
    )

    assert "set it in .env" in refused.stderr
    assert taken.returncode == 0, taken.stderr
    assert "://delivery:secret@database/prefect" in taken.stdout


def _config(folder: Path, environment: str) -> "subprocess.CompletedProcess[str]":
    (folder / ".env").write_text(environment)
    return subprocess.run(
        ["docker-compose", "config"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_template_for_ecs_is_sound() -> None:
    lint = Path(sys.executable).parent / "cfn-lint"

    done = subprocess.run(
        [lint, TEAM / "ecs.yaml"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_the_pool_for_containers_is_prefects_own_with_other_defaults() -> None:
    ours = json.loads((TEAM / "pool-docker.json").read_text())
    stock = DockerWorker.get_default_base_job_template()
    defaults = [
        {name: each.pop("default", None) for name, each in properties.items()}
        for properties in (t["variables"]["properties"] for t in (ours, stock))
    ]

    assert ours == stock
    assert {
        name for name, value in defaults[0].items() if value != defaults[1][name]
    } == {"auto_remove", "env", "image", "image_pull_policy", "networks", "volumes"}


def test_no_file_holds_a_secret() -> None:
    for file in TEAM.iterdir():
        for line in file.read_text().splitlines():
            name, sign, value = line.partition("=")
            if sign and re.fullmatch(r"\w*(PASSWORD|SECRET)\w*", name):
                assert not value, f"{file.name}: {line}"
