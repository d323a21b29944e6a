"""Pushes to a repository whose hook tells somebody."""

import time
from pathlib import Path

from benchmarks.lab import LIMIT, until
from benchmarks.sample import commit, git


class Pushing:
    """A bare repository, and a clone that commits.

    Args:
        marker: The pipeline's first command writes the time into it, in seconds.
    """

    def __init__(self, folder: Path, marker: Path) -> None:
        self.bare = folder / "pushed.git"
        self._work, self._marker, self._told = folder / "work", marker, folder / "told"
        self._work.mkdir(parents=True)
        marker.parent.mkdir(parents=True, exist_ok=True)
        git(self._work, "init", "-q", "-b", "main")
        self._commit()
        git(folder, "clone", "-q", "--bare", str(self._work), str(self.bare))
        git(self._work, "remote", "add", "origin", str(self.bare))

    def hook(self, command: str) -> None:
        """What is done once a push is in; `$old` and `$new` are its commits."""
        file = self.bare / "hooks" / "post-receive"
        file.write_text(
            "#!/bin/sh -e\nunset GIT_DIR GIT_QUARANTINE_PATH\nread old new ref\n"
            f"date +%s.%N >'{self._told}'\n{command} >/dev/null\n"
        )
        file.chmod(0o755)

    def push(self) -> float:
        """Push a commit; seconds from the hook to the first command."""
        self._marker.unlink(missing_ok=True)
        self._commit()
        git(self._work, "push", "-q", "origin", "main")
        until(self._marker.exists, "the first command", every=0.01, patience=LIMIT)
        return float(self._marker.read_text()) - float(self._told.read_text())

    def _commit(self) -> None:
        (self._work / "change").write_text(f"{time.time()}\n")
        commit(self._work, "change")
