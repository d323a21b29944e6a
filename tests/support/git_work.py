"""What a developer does with git, and what of it arrives in an artifact."""

import os
import shutil
import subprocess
from pathlib import Path

from prefect_delivery.actions import Outputs


class Developer:
    """Somebody with a work tree.

    Attributes:
        folder: The work tree.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str, text: str | None = None) -> str:
        """Run git in the work tree; return what it says."""
        return git(self.folder, *arguments, text=text)

    def commit(self, message: str = "change", files: dict[str, str] = {}) -> str:
        """Write files and commit all there is; return the commit."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return commit(self.folder, message)

    def push(self, *refs: str) -> None:
        """Push `refs`, by default what is checked out as `main`, over what is there."""
        self.git("push", "--quiet", "--force", "origin", *(refs or ("HEAD:main",)))


def git(folder: Path, *arguments: str, text: str | None = None) -> str:
    """Run git as a developer would, unmoved by the configuration of this machine."""
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
    }
    isolation = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**identity, **os.environ, **isolation},
        input=text.encode() if text is not None else None,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def commit(folder: Path, message: str) -> str:
    """Commit all that is in `folder`; return the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--file=-", text=message)
    return git(folder, "rev-parse", "HEAD")


def replace_files(source: Path, target: Path) -> None:
    """Make `target` hold the files of `source` and nothing else but its `.git`."""
    for path in target.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    ignored = shutil.ignore_patterns(".git", ".delivery", "__pycache__")
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)


def files_of(outputs: Outputs, folder: Path) -> dict[str, str]:
    """The files of a source's one artifact, by path; written into `folder`."""
    (artifact,) = outputs.artifacts.values()
    artifact.unpack(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}
