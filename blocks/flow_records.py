"""The flows of releases: read once from their files, kept for every later rollout."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect_delivery.artifacts.durable import sync_folder
from prefect_delivery.blocks.fleet_files import write
from prefect_delivery.errors import ActionFailed
from prefect_delivery.process import clean_environment

Flows = dict[str, dict[str, Any]]
"""By name: a flow's entrypoint, description and the schema of its parameters."""

_READER = Path(__file__).with_name("flow_reading.py")
_PATIENCE = 120.0
"""Seconds that reading the flows of a release may take."""


class FlowRecords:
    """`flows/<digest>.json` for each release that has been here.

    A release keeps its entrypoints, so that an older one is run by its own, and going
    back reads no code.

    Args:
        root: Folder of the environment.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "flows"

    def read(self, digest: str) -> Flows | None:
        """The flows of a release; None for one that was never accepted here."""
        try:
            found: Flows = json.loads(self._file(digest).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def write(self, digest: str, flows: Flows) -> None:
        """Keep the flows of a release, whole or not at all."""
        self._folder.mkdir(exist_ok=True)
        write(self._file(digest), flows)
        sync_folder(self._folder)

    def tidy(self, kept: set[str]) -> None:
        """Forget all releases but these."""
        for file in self._folder.glob("*.json"):
            if file.stem not in kept:
                file.unlink()

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def read_flows(folder: Path, entrypoints: Mapping[str, str]) -> Flows:
    """The flows of a release that are at these entrypoints.

    Args:
        folder: Where the release is unpacked.
        entrypoints: `file.py:function` by the flow's name.

    Raises:
        ActionFailed: One is not there, or is called otherwise; names all that is wrong.
    """
    command = [sys.executable, "-I", str(_READER), *entrypoints.values()]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=clean_environment({"PYTHONDONTWRITEBYTECODE": "1"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise ActionFailed(
            f"the flows of the release could not be read in {_PATIENCE:g} s"
        ) from error
    except (subprocess.CalledProcessError, IndexError, ValueError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ActionFailed(
            f"the flows of the release cannot be read: {said.strip()[-500:]}"
        ) from error
    flows, problems = Flows(), list[str]()
    for (name, entrypoint), answer in zip(entrypoints.items(), answers, strict=True):
        if problem := answer.get("problem"):
            problems.append(f"{entrypoint}: {problem}")
        elif answer["name"] != name:
            problems.append(f"{entrypoint}: the flow's name is '{answer['name']}'")
        else:
            flows[name] = answer
    if problems:
        raise ActionFailed(
            f"the release does not fit the environment: {'; '.join(problems)}"
        )
    return flows
