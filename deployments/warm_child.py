"""What a warm process does: it waits for a job, becomes what that needs, and does it."""

import json
import os
import runpy
import socket
import sys
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import prefect.context
from prefect.logging.configuration import setup_logging
from prefect.settings import Settings

from prefect_delivery.deployments.warm_start import ENGINE, call_hooks


def live(channel: socket.socket) -> None:
    """Wait for a job, become what it needs, and do it; without one, end."""
    with channel:
        said = b"".join(iter(partial(channel.recv, 65536), b""))
    if not said:
        return
    job = json.loads(said)
    _become(job)
    if "hook" in job:
        call_hooks(job)
        return
    # The engine is imported already, which is the point.
    warnings.filterwarnings("ignore", f"'{ENGINE}' found in sys.modules")
    sys.argv[1:] = []
    runpy.run_module(ENGINE, run_name="__main__", alter_sys=True)


def _become(job: dict[str, Any]) -> None:
    before = _of_prefect(os.environ)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    if not sys.flags.safe_path:
        sys.path[0] = job["folder"]  # as `python -m` does it
    if not job["output"]:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    if _of_prefect(os.environ) != before or any(Path().iterdir()):
        # Prefect reads its settings, from files in its folder too, when it is
        # imported; here that was long ago.
        now = prefect.context.get_settings_context()
        prefect.context.GLOBAL_SETTINGS_CONTEXT = prefect.context.SettingsContext(
            profile=now.profile, settings=Settings()
        )
        setup_logging()


def _of_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PREFECT_") and not name.startswith("PREFECT__")
    }
