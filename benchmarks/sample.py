"""The small Python project that W1 delivers, in a repository."""

import subprocess
from pathlib import Path

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "sample"
version = "1.0"
[tool.setuptools.packages.find]
where = ["src"]
[tool.setuptools.package-data]
sample = ["VERSION"]
"""
TEST = """
import pytest
from sample.m{n} import f{n}

@pytest.mark.parametrize("x", range(5))
def test_{kind}_{n}(x):
    assert f{n}(x) == x + {n}
"""
MODULES = 20
TESTED = 10


def make_repository(folder: Path) -> str:
    """Write a bare repository with the project; its commit on `main`."""
    work = folder.with_suffix(".work")
    files = {
        "pyproject.toml": PROJECT,
        ".gitignore": "*.egg-info\nbuild\ndist\nsite\n__pycache__\n",
        "src/sample/__init__.py": "",
        "src/sample/VERSION": "1.0\n",
    }
    for n in range(1, MODULES + 1):
        files[f"src/sample/m{n}.py"] = f"def f{n}(x):\n    return x + {n}\n"
    for kind in ("unit", "integration"):
        for n in range(1, TESTED + 1):
            name = f"tests/{kind}/test_{kind}_{n}.py"
            files[name] = TEST.format(kind=kind, n=n)
    for name, text in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(work, "init", "-q", "-b", "main")
    commit(work, "one")
    git(work, "clone", "-q", "--bare", str(work), str(folder))
    git(work, "remote", "add", "origin", str(folder))
    return git(work, "rev-parse", "main")


def make_small_repository(folder: Path) -> None:
    """Write a bare repository with one file, for actions that need nothing of it."""
    work = folder.with_suffix(".work")
    work.mkdir()
    (work / "README").write_text("small\n")
    git(work, "init", "-q", "-b", "main")
    commit(work, "one")
    git(work, "clone", "-q", "--bare", str(work), str(folder))


def commit(work: Path, message: str) -> None:
    git(work, "add", "-A")
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    git(work, *author, "commit", "-q", "-m", message)


def git(work: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", work, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
