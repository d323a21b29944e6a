"""Flows that workers in tests carry out; each notes what it sees in a folder."""

import asyncio
import atexit
import json
import os
import time
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, suspend_flow_run
from prefect.runtime import flow_run


def note(folder: str, kind: str, **more: Any) -> None:
    """Write `<id of the flow run>.<kind>`, all at once."""
    file = Path(folder) / f"{flow_run.id}.{kind}"
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"time": time.time(), "pid": os.getpid(), **more}))
    new.replace(file)


def _hook(kind: str) -> Any:
    def noted(flow: Any, flow_run: Any, state: Any) -> None:
        file = Path(flow_run.parameters["folder"]) / f"{flow_run.id}.{kind}"
        file.write_text(json.dumps({"pid": os.getpid(), "state": state.name}))

    return noted


@flow(on_cancellation=[_hook("cancelled")], on_crashed=[_hook("crashed")])
async def noted(folder: str, seconds: float = 0) -> None:
    """Note the beginning, go on until `go` is there or so long, note the end."""
    helper = await asyncio.create_subprocess_exec("sleep", "600") if seconds else None
    get_run_logger().info("as you can see")
    note(
        folder,
        "begun",
        helper=helper and helper.pid,
        cwd=str(Path.cwd()),
        environment=dict(os.environ),
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not (Path(folder) / "go").exists():
        await asyncio.sleep(0.02)
    if helper:
        helper.kill()
        await helper.wait()
    note(folder, "ended")


@flow
def broken(folder: str) -> None:
    """Fail."""
    raise ValueError("as it was written")


@flow
def patient(folder: str, linger: bool = False) -> None:
    """Suspend, and go on in another process; the first one may not want to leave."""
    if linger and not (Path(folder) / f"{flow_run.id}.before").exists():
        atexit.register(_leave, folder)
    note(folder, "before")
    suspend_flow_run(timeout=600, key="once")
    note(folder, "after")


def _leave(folder: str) -> None:
    while not (Path(folder) / "leave").exists():
        time.sleep(0.02)
    note(folder, "left")
