"""The descriptions of our layout agree, and nobody imports against the arrows."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = ["blocks", "deployments", "flows", "tasks"]
SOURCES = [
    path
    for folder in ["prefect_delivery", *FOLDERS]
    for path in (ROOT / folder).rglob("*.py")
    if not any(p.is_symlink() for p in path.parents)
]

# Rooms from the lowest up: each imports those before it, save that the store of
# artifacts knows nothing of pipelines, and pipelines nothing of the store.
ROOMS = ["definition", "engine", "ledger", "rollout", "blocks", "tasks", "flows"]
ORDER = {room: set(ROOMS[: ROOMS.index(room)]) for room in ROOMS} | {"artifacts": set()}
# Files of CodePipeline become definitions, and nothing else.
ORDER["codepipeline"] = {"definition"}
for room in ROOMS[ROOMS.index("rollout") :]:
    ORDER[room].add("artifacts")
# The one file that may, because it checks at each start whether they are as it needs.
PRIVATE = ROOT / "deployments" / "warm_start.py"
HEAVY = {"prefect", "boto3", "sqlalchemy"}


def test_every_package_is_declared() -> None:
    found = {
        "prefect_delivery." + ".".join(init.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    found |= {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in SOURCES
        if init.name == "__init__.py" and init.is_relative_to(ROOT / "prefect_delivery")
    }

    assert set(SETUPTOOLS["packages"]) == found


@pytest.mark.parametrize("folder", FOLDERS)
def test_link_leads_to_the_folder(folder: str) -> None:
    assert SETUPTOOLS["package-dir"][f"prefect_delivery.{folder}"] == folder
    link = ROOT / "prefect_delivery" / folder
    if not link.is_symlink():
        pytest.skip("checked out without symbolic links")
    assert link.samefile(ROOT / folder)


def test_the_changelog_names_the_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest is not None
    assert newest[1] == PROJECT["project"]["version"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows(source: Path) -> None:
    room = _room(source)
    imported = set(_imports(source))

    private = {name for name in imported if re.match(r"prefect(\.\w+)*\._", name)}
    if source != PRIVATE:
        assert not private, "Prefect's private modules change without notice"
    if room in ORDER:
        rooms = {name.split(".")[1] for name in imported if _is_room(name)}
        assert rooms - {room} <= ORDER[room]
    if room in {"definition", "engine", "codepipeline"}:
        assert not HEAVY & {name.split(".")[0] for name in imported}
    if room != "ledger":
        assert "sqlalchemy" not in {name.split(".")[0] for name in imported}


def _room(source: Path) -> str:
    parts = source.relative_to(ROOT).parts
    return parts[1] if parts[0] == "prefect_delivery" else parts[0]


def _is_room(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "prefect_delivery" and len(parts) > 1 and parts[1] in ORDER


def _imports(source: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found
